"""Kubernetes' e2e cases "Container Lifecycle Hook", and how a pod is ended."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from lifecycle.testing import Container, Exec, HttpGet, Kubelet, PodSpec, Sleep
from tests.testing.kit import CERTIFICATE, get, listening, paths, quick, record, web

FAILED = ["PreStopHook failed"]


def shell(script: str) -> Exec:
    return Exec(["sh", "-c", script])


async def test_prestop_exec(node: Kubelet, tmp_path: Path):
    """A command runs inside before SIGTERM, and is waited for."""
    hook = shell("sleep 0.3; echo $PORT_HTTP > hook")
    pod = await node.run(web(tmp_path, pre_stop=hook))
    await listening(pod)
    deletion = await pod.delete()

    assert f"{pod.port('http')}\n" == (tmp_path / "hook").read_text()
    assert 0 <= deletion.pre_stop_started < 1
    assert 0.3 <= deletion.pre_stop_ended <= deletion.sigterm <= deletion.exited < 5
    assert not deletion.killed
    assert not deletion.pre_stop_failed
    assert (deletion.exit_code, pod.phase) == (0, "Succeeded")
    assert pod.said("Killing") == ["Stopping container app"]


async def test_prestop_exec_of_a_text_that_names_no_interpreter(node: Kubelet, tmp_path: Path):
    """The hook has failed, as in a cluster, and the pod is ended all the same."""
    (tmp_path / "hook").write_text("touch ran\n")
    (tmp_path / "hook").chmod(0o755)
    pod = await node.run(web(tmp_path, pre_stop=Exec(["./hook"])))
    await listening(pod)
    deletion = await pod.delete()

    assert deletion.pre_stop_failed
    assert "exec format error" in deletion.pre_stop_error
    assert not (tmp_path / "ran").exists()


async def test_prestop_http(node: Kubelet, tmp_path: Path):
    """The request names the kubelet's lifecycle; its connection is kept, its status ignored."""
    pod = await node.run(web(tmp_path, pre_stop=get("/status/500"), env={"LINGER": "0.3"}))
    await listening(pod)
    deletion = await pod.delete()

    assert {
        "User-Agent": "kube-lifecycle/1.34",
        "Accept": "*/*",
        "Accept-Encoding": "gzip",
        "Host": f"127.0.0.1:{pod.port('http')}",
    } == record(tmp_path, "request")[0]["headers"]
    assert record(tmp_path, "closed") == []
    assert not deletion.pre_stop_failed
    assert deletion.pre_stop_status == 500
    assert pod.said("FailedPreStopHook") == []


async def test_prestop_https(node: Kubelet, tmp_path: Path):
    """Over HTTPS the certificate is not verified."""
    hook = get("/bye", scheme="https")
    pod = await node.run(web(tmp_path, pre_stop=hook, env={"CERTIFICATE": CERTIFICATE}))
    await listening(pod)
    await pod.delete()

    assert paths(tmp_path) == ["/bye"]
    assert pod.said("FailedPreStopHook") == []


async def test_prestop_https_to_plain(node: Kubelet, tmp_path: Path):
    """HTTPS that meets a plain server is tried again in plain, without Authorization."""
    hook = get("/bye", scheme="https", headers=[("Authorization", "secret"), ("X", "1")])
    pod = await node.run(web(tmp_path, pre_stop=hook))
    await listening(pod)
    await pod.delete()

    headers = record(tmp_path, "request")[-1]["headers"]
    assert "Authorization" not in headers
    assert headers["X"] == "1"
    assert pod.said("FailedPreStopHook") == []


async def test_prestop_http_to_nobody(node: Kubelet, tmp_path: Path):
    """Only a transport error is a failure; SIGTERM comes all the same."""
    pod = await node.run(web(tmp_path, pre_stop=get("/"), env={"LISTEN_AFTER": "30"}))
    deletion = await pod.delete(grace=1)

    assert deletion.pre_stop_failed
    assert pod.said("FailedPreStopHook") == FAILED
    assert deletion.sigterm < 2


async def test_prestop_exec_that_fails(node: Kubelet, tmp_path: Path):
    """An exit code other than 0 is an event, and SIGTERM comes at once."""
    pod = await node.run(web(tmp_path, pre_stop=shell("exit 3")))
    await listening(pod)
    deletion = await pod.delete()

    assert deletion.pre_stop_failed
    assert pod.said("FailedPreStopHook") == FAILED
    assert deletion.exit_code == 0


async def reject(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hang up in the middle of a TLS handshake, and of anything else."""
    await reader.read(1)
    writer.transport.abort()


@pytest.mark.parametrize(
    ("hook", "why"),
    [
        (Exec(["no-such-program"]), "executable file not found in $PATH"),
        (Exec(["./no-such-script"]), "executable file not found in $PATH"),
        (shell("echo no such host; exit 3"), "exit code 3: no such host"),
        (HttpGet("admin"), "couldn't find port: admin (there are: http)"),
        (HttpGet(1), "connection refused"),
        (get("/reset"), "EOF"),
        (get("/loop"), "stopped after 10 redirects"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
async def test_a_hook_that_cannot_be_run(node: Kubelet, tmp_path: Path, hook: Any, why: str):
    """It has failed: the event says so in the kubelet's words, its detail and the deletion why."""
    pod = await node.run(web(tmp_path, pre_stop=hook))
    await listening(pod)
    deletion = await pod.delete()

    assert deletion.pre_stop_failed
    assert why in deletion.pre_stop_error
    assert pod.said("FailedPreStopHook") == FAILED
    assert [e.detail for e in pod.events if e.reason == "FailedPreStopHook"] == [
        deletion.pre_stop_error
    ]
    assert why in pod.describe()
    assert (deletion.exit_code, deletion.killed) == (0, False)
    assert len(record(tmp_path, "sigterm")) == 1


async def test_a_hook_over_tls_that_is_hung_up_on(node: Kubelet, tmp_path: Path):
    """A handshake that fails is a hook that has failed, and not one that ran in plain."""
    async with await asyncio.start_server(reject, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        hook = HttpGet(port, "/bye", scheme="https")
        pod = await node.run(web(tmp_path, pre_stop=hook))
        await listening(pod)
        deletion = await pod.delete()

    assert deletion.pre_stop_failed
    assert deletion.pre_stop_error


async def test_a_hook_that_breaks_the_kubelet_itself(node: Kubelet, tmp_path: Path):
    """A mistake of ours is no hook that ran: it has failed, by the name of what was raised."""
    hook = get("/bye")
    object.__setattr__(hook, "headers", [("X", "1\n2")])  # past the check at its making
    pod = await node.run(web(tmp_path, pre_stop=hook))
    await listening(pod)
    deletion = await pod.delete()

    assert deletion.pre_stop_failed
    assert deletion.pre_stop_error.startswith("LocalProtocolError: ")
    assert pod.said("FailedPreStopHook") == FAILED


async def test_a_hook_that_ran_has_no_error(node: Kubelet, tmp_path: Path):
    """Nothing is said of it."""
    pod = await node.run(web(tmp_path, pre_stop=shell("exit 0")))
    await listening(pod)
    deletion = await pod.delete()

    assert (deletion.pre_stop_failed, deletion.pre_stop_error) == (False, "")
    assert deletion.pre_stop_status is None


async def test_prestop_sleep(node: Kubelet, tmp_path: Path):
    """A sleep holds SIGTERM back for as long as it says."""
    pod = await node.run(web(tmp_path, pre_stop=Sleep(0.6)))
    await listening(pod)
    deletion = await pod.delete()

    assert 0.6 <= deletion.sigterm < 4


async def test_sleep_is_cut_short_by_the_deletions_own_grace(node: Kubelet, tmp_path: Path):
    """A deletion with less grace than the pod's ends a sleep of 15 s in its own time."""
    pod = await node.run(web(tmp_path, pre_stop=Sleep(15), grace_period=15))
    await listening(pod)
    deletion = await pod.delete(grace=1)

    assert 1 <= deletion.sigterm < 5
    assert deletion.exit_code == 0


async def test_a_second_deletion_changes_nothing(node: Kubelet, tmp_path: Path):
    """What is being ended is ended with the grace it began with, as the real kubelet does it."""
    pod = await node.run(web(tmp_path, pre_stop=Sleep(3), grace_period=15))
    await listening(pod)
    first = pod.delete()
    await pod.until(lambda _: first.pre_stop_started is not None)
    second = pod.delete(grace=1)
    await second

    assert first is second
    assert first.grace == 15
    assert first.sigterm >= 3
    assert (first.exit_code, first.killed) == (0, False)


async def test_terminated_container_is_not_waited_for(node: Kubelet, tmp_path: Path):
    """The hook of a container that has ended is not run."""
    spec = web(
        tmp_path, restart_policy="Never", command=["true"], pre_stop=Sleep(20), grace_period=30
    )
    pod = await node.run(spec)
    await pod.until_finished()
    deletion = await pod.delete()

    assert deletion.pre_stop_started is None
    assert deletion.sigterm is None
    assert deletion.exit_code == 0


async def test_two_seconds_are_always_left(node: Kubelet, tmp_path: Path):
    """A hook that eats the whole grace period leaves the app 2 s, and is abandoned."""
    pod = await node.run(web(tmp_path, pre_stop=get("/slow/20"), env={"LINGER": "1"}))
    await listening(pod)
    deletion = await pod.delete(grace=1)

    assert 1 <= deletion.sigterm < 3
    assert deletion.pre_stop_ended is None
    assert deletion.exit_code == 0
    assert not deletion.killed
    assert 2 <= deletion.exited < 6


async def test_sigkill_after_the_grace_period(node: Kubelet, tmp_path: Path):
    """What ignores SIGTERM is killed when the grace is over: 137; preStop's time counts."""
    spec = web(tmp_path, pre_stop=Sleep(0.5), grace_period=3, env={"ON_SIGTERM": "ignore"})
    pod = await node.run(spec)
    await listening(pod)
    deletion = await pod.delete()

    assert deletion.killed
    assert 3 <= deletion.sigkill < 6
    assert (deletion.exit_code, pod.phase) == (137, "Failed")
    assert len(record(tmp_path, "sigterm")) == 1


async def test_pid_1_without_a_handler(node: Kubelet, tmp_path: Path):
    """As PID 1, a process without a handler gets no SIGTERM; under an init it does."""
    first = await node.run(web(tmp_path, env={"ON_SIGTERM": "none"}))
    other = await node.run(web(tmp_path, env={"ON_SIGTERM": "none"}, pid_1=False))
    await asyncio.gather(listening(first), listening(other))
    alone, under_init = await asyncio.gather(first.delete(grace=1), other.delete(grace=1))

    assert (alone.exit_code, alone.killed) == (137, True)
    assert (under_init.exit_code, under_init.killed) == (143, False)


async def test_leaving_under_an_exec_prestop(node: Kubelet, tmp_path: Path):
    """PID 1 that ends while the hook runs takes it along: an event FailedPreStopHook."""
    pod = await node.run(web(tmp_path, pre_stop=shell("echo $$ > hook; exec sleep 30")))
    await listening(pod)
    deletion = pod.delete()
    await pod.until(lambda _: (tmp_path / "hook").exists())
    os.kill(pod.pid, signal.SIGTERM)
    await deletion

    assert deletion.pre_stop_failed
    assert "the container ended while the hook was running" in deletion.pre_stop_error
    assert deletion.sigterm is None
    assert pod.said("FailedPreStopHook") == FAILED
    assert deletion.exited < 10
    assert not Path(f"/proc/{(tmp_path / 'hook').read_text().strip()}").exists()


async def test_prestop_runs_when_liveness_restarts(node: Kubelet, tmp_path: Path):
    """A liveness failure runs preStop too, SIGTERM after it, and then a restart."""
    liveness = quick(get("/unless/sick"))
    hook = shell("sleep 0.3; rm -f sick; touch hook")
    pod = await node.run(web(tmp_path, liveness=liveness, pre_stop=hook))
    await listening(pod)
    (tmp_path / "sick").touch()
    await pod.until(lambda pod: pod.restart_count == 1 and pod.running)

    assert (tmp_path / "hook").exists()
    ending = pod.endings[0]
    assert 0.3 <= ending.pre_stop_ended <= ending.sigterm <= ending.exited
    assert ending.exit_code == 0


async def test_deletion_during_a_liveness_restart(node: Kubelet, tmp_path: Path):
    """A deletion waits for the restart that is under way, and ends the new container, by its hook."""
    liveness = quick(get("/status/500"))
    hook = shell("echo ran >> hooks; sleep 0.7")
    pod = await node.run(web(tmp_path, liveness=liveness, pre_stop=hook, grace_period=2))
    await pod.until(lambda _: (tmp_path / "hooks").exists())
    deletion = pod.delete()
    assert pod.delete(grace=1).grace == 1  # it has not begun: it can still be shortened
    await deletion

    assert pod.restart_count == 1
    assert (tmp_path / "hooks").read_text() == "ran\nran\n"
    assert [each.removeprefix("Container app ") for each in pod.said("Killing")] == [
        "failed liveness probe, will be restarted",
        "Stopping container app",
    ]


async def test_a_hook_leaves_nothing_behind(tmp_path: Path):
    """What a container and its hooks have started is gone with the kubelet."""
    script = "sleep 61 & echo $! >> pids; sleep 62 & echo $! >> pids; echo listening; wait"
    container = Container(["sh", "-c", script], cwd=str(tmp_path), pre_stop=shell("sleep 63"))
    async with Kubelet() as kubelet:
        pod = await kubelet.run(PodSpec(container))
        await listening(pod)
        pids = [pod.pid, *map(int, (tmp_path / "pids").read_text().split())]
        deletion = pod.delete()
        await pod.until(lambda _: deletion.pre_stop_started is not None)

    assert pod.output == "listening\n"
    # Whoever was orphaned is reaped by init, in its own time.
    deadline = time.monotonic() + 10
    while any(running(pid) for pid in pids):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def running(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

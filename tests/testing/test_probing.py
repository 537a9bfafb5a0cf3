"""Kubernetes' e2e cases "Probing container", each against this kubelet."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lifecycle.testing import Exec, HttpGet, Kubelet, Pod, Probe, TcpSocket
from tests.testing.kit import get, listening, paths, quick, record, seen, unhealthy, web

KILLED = "Container app failed {} probe, will be restarted"


def shell(script: str) -> Exec:
    return Exec(["sh", "-c", script])


async def restarted(pod: Pod, times: int = 1) -> None:
    await pod.until(lambda pod: pod.restart_count >= times and pod.running)


async def test_readiness_waits_for_the_initial_delay(node: Kubelet, tmp_path: Path):
    """With a readiness probe a pod is not ready before its initial delay, and never restarts."""
    began = time.monotonic()
    pod = await node.run(web(tmp_path, readiness=quick(get("/"), initial_delay=0.8)))
    assert not pod.ready
    await pod.until_ready()

    assert time.monotonic() - began >= 0.8
    assert record(tmp_path, "request")[0]["at"] - began >= 0.8
    assert pod.restart_count == 0


async def test_failing_readiness_never_restarts(node: Kubelet, tmp_path: Path):
    """A readiness probe that fails makes a pod never ready and restarts nothing."""
    pod = await node.run(web(tmp_path, readiness=quick(get("/status/500"))))
    await seen(pod, tmp_path, "/status/500", 8)

    assert not pod.ready
    assert pod.restart_count == 0


async def test_no_readiness_probe(node: Kubelet, tmp_path: Path):
    """Without a readiness probe a pod is ready as soon as its container runs."""
    pod = await node.run(web(tmp_path))

    assert pod.ready


async def test_readiness_counts_to_its_thresholds(node: Kubelet, tmp_path: Path):
    """It takes as many in a row as the thresholds say to become ready, and to be it no more."""
    (tmp_path / "closed").touch()
    probe = quick(get("/unless/closed"), period=0.1, success_threshold=3, failure_threshold=4)
    pod = await node.run(web(tmp_path, readiness=probe))
    await seen(pod, tmp_path, "/unless/closed", 2)
    (tmp_path / "closed").unlink()
    before = len(paths(tmp_path))
    await pod.until_ready()
    good = len(paths(tmp_path)) - before
    (tmp_path / "closed").touch()
    said = len(pod.said("Unhealthy"))
    await pod.until(lambda pod: not pod.ready)

    assert 3 <= good <= 4  # one may have been under way
    assert len(pod.said("Unhealthy")) - said == 4


async def test_healthz_that_fails_restarts_once(node: Kubelet, tmp_path: Path):
    """A container whose /healthz fails is restarted, and its successor that is well is not."""
    probe = quick(get("/unless/sick"), failure_threshold=2)
    pod = await node.run(web(tmp_path, liveness=probe))
    await seen(pod, tmp_path, "/unless/sick")
    (tmp_path / "sick").touch()
    await pod.until(lambda pod: pod.said("Killing"))
    (tmp_path / "sick").unlink()
    await restarted(pod)
    count = len(paths(tmp_path))
    await seen(pod, tmp_path, "/unless/sick", count + 3)

    assert pod.restart_count == 1
    assert [KILLED.format("liveness")] == pod.said("Killing")
    failed = "Liveness probe failed: HTTP probe failed with statuscode: 503"
    assert unhealthy(pod, "liveness") == [failed] * 2
    assert pod.exit_codes == [0]
    assert pod.said("Created") == ["Created container: app"] * 2
    assert pod.said("Started") == ["Started container app"] * 2


async def test_exec_liveness_that_fails_restarts(node: Kubelet, tmp_path: Path):
    """`cat health` that fails restarts the container; its output is in the event."""
    (tmp_path / "health").touch()
    pod = await node.run(web(tmp_path, liveness=quick(Exec(["cat", "health"]))))
    await listening(pod)
    (tmp_path / "health").unlink()
    await restarted(pod)

    assert unhealthy(pod, "liveness")[0].startswith(
        "Liveness probe failed: cat: health: No such file"
    )


@pytest.mark.parametrize("kind", ["http", "exec"])
async def test_liveness_that_succeeds_restarts_nothing(node: Kubelet, tmp_path: Path, kind: str):
    """A healthy container is left alone."""
    handler = get("/") if kind == "http" else Exec(["true"])
    probe = quick(handler)
    pod = await node.run(web(tmp_path, liveness=probe, readiness=quick(get("/ready"))))
    await seen(pod, tmp_path, "/ready", 8)

    assert pod.restart_count == 0
    assert pod.said("Killing") == []


async def test_tcp_liveness_looks_at_the_port_alone(node: Kubelet, tmp_path: Path):
    """With the port open nothing is restarted though HTTP fails; with it closed it is."""
    readiness = quick(get("/status/500"))
    liveness = quick(TcpSocket("http"))
    pod = await node.run(web(tmp_path, liveness=liveness, readiness=readiness))
    await seen(pod, tmp_path, "/status/500", 8)
    assert pod.restart_count == 0

    closed = await node.run(
        web(tmp_path, env={"LISTEN_AFTER": "9"}, liveness=liveness, startup=None)
    )
    await closed.until(lambda pod: pod.said("Unhealthy"))
    address = f"127.0.0.1:{closed.port('http')}"
    assert [f"Liveness probe failed: dial tcp {address}: connect: connection refused"] == (
        closed.said("Unhealthy")
    )


async def test_restart_count_only_grows(node: Kubelet, tmp_path: Path):
    """A container that keeps getting sick is restarted again and again; the count never falls."""
    probe = quick(get("/healthy-for/0.4"), period=0.1)
    pod = await node.run(web(tmp_path, liveness=probe))
    counts = []
    pod.subscribe(lambda: counts.append(pod.restart_count))
    await restarted(pod, 3)

    assert sorted(counts) == counts
    assert set(counts) >= {1, 2, 3}


@pytest.mark.parametrize("kind", ["liveness", "readiness"])
async def test_exec_timeout_is_a_failure(node: Kubelet, tmp_path: Path, kind: str):
    """An exec probe that does not end in time has failed, and is killed."""
    probe = quick(shell("echo $$$$ >> pids; exec sleep 30"), timeout=0.2, failure_threshold=2)
    pod = await node.run(web(tmp_path, **{kind: probe}))
    await pod.until(lambda pod: len(unhealthy(pod, kind)) >= 2)

    text = 'command timed out: "sh -c echo $$ >> pids; exec sleep 30" timed out after 0.2s'
    assert unhealthy(pod, kind)[0] == f"{kind.capitalize()} probe failed: {text}"
    assert not Path(f"/proc/{(tmp_path / 'pids').read_text().split()[0]}").exists()
    if kind == "liveness":
        await restarted(pod)
    else:
        assert not pod.ready


async def test_exec_that_cannot_run_is_no_verdict(node: Kubelet, tmp_path: Path):
    """A probe that cannot be carried out changes nothing: the container lives on."""
    pod = await node.run(web(tmp_path, liveness=quick(Exec(["no-such-command"]))))
    await pod.until(lambda pod: len(unhealthy(pod, "liveness")) >= 3)

    assert pod.restart_count == 0
    assert "executable file not found in $PATH" in unhealthy(pod, "liveness")[0]
    assert unhealthy(pod, "liveness")[0].startswith("Liveness probe errored")


async def test_local_redirect_is_followed_to_a_failure(node: Kubelet, tmp_path: Path):
    """A liveness probe redirected to a failing path of the same host restarts."""
    probe = quick(get("/redirect?to=/status/500"))
    pod = await node.run(web(tmp_path, liveness=probe))
    await restarted(pod)

    assert "/status/500" in paths(tmp_path)


async def test_redirect_to_another_host_restarts_nothing(node: Kubelet, tmp_path: Path):
    """A liveness probe redirected elsewhere passes, with an event ProbeWarning."""
    probe = quick(get("/redirect?to=http://0.0.0.0/"))
    pod = await node.run(web(tmp_path, liveness=probe))
    await pod.until(lambda pod: len(pod.said("ProbeWarning")) >= 3)

    assert pod.restart_count == 0


async def test_startup_that_fails_restarts(node: Kubelet, tmp_path: Path):
    """A startup probe that never passes restarts the container."""
    probe = quick(Exec(["cat", "started"]), failure_threshold=3)
    pod = await node.run(web(tmp_path, startup=probe, pid_1=False))
    await restarted(pod)

    assert [KILLED.format("startup")] == pod.said("Killing")[:1]
    assert pod.said("Unhealthy")[0].startswith("Startup probe failed: cat: started: No such file")


async def test_startup_holds_a_failing_liveness_back(node: Kubelet, tmp_path: Path):
    """Until startup has passed, a liveness probe that would fail is not carried out."""
    startup = quick(get("/unless/starting"), failure_threshold=100)
    (tmp_path / "starting").touch()
    spec = web(tmp_path, startup=startup, liveness=quick(get("/status/500"), period=0.05))
    pod = await node.run(spec)
    await seen(pod, tmp_path, "/unless/starting", 8)
    assert "/status/500" not in paths(tmp_path)
    assert not pod.started

    (tmp_path / "starting").unlink()
    await restarted(pod)
    assert "/status/500" in paths(tmp_path)
    assert KILLED.format("liveness") == pod.said("Killing")[0]


async def test_readiness_follows_startup_at_once(node: Kubelet, tmp_path: Path):
    """When startup passes, readiness is probed at once, not a period later."""
    startup = quick(get("/ready-after/0.5"), failure_threshold=100)
    readiness = Probe(get("/ready"), period=60)
    pod = await node.run(web(tmp_path, startup=startup, readiness=readiness))
    await pod.until(lambda pod: pod.started)
    began = time.monotonic()
    await pod.until_ready()

    assert time.monotonic() - began < 1.0
    requests = [path for path in paths(tmp_path) if path == "/ready"]
    assert requests == ["/ready"]
    assert paths(tmp_path)[-1] == "/ready"  # startup is not probed again once it has passed


async def test_startup_is_asked_anew_after_a_restart(node: Kubelet, tmp_path: Path):
    """A restarted container has its startup probe passed anew."""
    startup = quick(get("/start"), failure_threshold=100)
    pod = await node.run(web(tmp_path, startup=startup, env={"LIVES": "0.5"}))
    await pod.until(lambda pod: pod.started)
    await restarted(pod)
    await pod.until(lambda pod: pod.started)

    assert paths(tmp_path).count("/start") >= 2


@pytest.mark.parametrize("kind", ["liveness", "startup"])
async def test_own_grace_period_of_a_probe(node: Kubelet, tmp_path: Path, kind: str):
    """terminationGracePeriodSeconds of the probe counts, not the pod's 500 s."""
    probe = quick(get("/unless/sick"), termination_grace_period=2.2)
    (tmp_path / "sick").touch()
    spec = web(tmp_path, grace_period=500, env={"ON_SIGTERM": "ignore"}, **{kind: probe})
    pod = await node.run(spec)
    await restarted(pod)

    assert pod.endings[0].killed
    assert 2.1 <= pod.endings[0].sigkill <= 8
    assert pod.exit_codes == [137]


async def test_readiness_while_terminating(node: Kubelet, tmp_path: Path):
    """Readiness is probed on and turns false while a pod terminates; liveness is not probed."""
    spec = web(
        tmp_path,
        readiness=quick(get("/unless/closed")),
        liveness=quick(get("/status/200/live"), period=0.05),
        env={"ON_SIGTERM": "ignore"},
        pre_stop=shell("sleep 0.5; touch closed"),
    )
    pod = await node.run(spec)
    await pod.until_ready()
    await seen(pod, tmp_path, "/status/200/live")
    deletion = pod.delete(grace=2)
    asked = paths(tmp_path).count("/status/200/live")
    assert pod.ready
    await pod.until(lambda pod: not pod.ready)
    assert pod.running
    await deletion

    assert paths(tmp_path).count("/status/200/live") <= asked + 1
    assert pod.restart_count == 0


async def test_liveness_is_not_counted_while_terminating(node: Kubelet, tmp_path: Path):
    """A container that turns sick while its pod terminates is not restarted."""
    spec = web(
        tmp_path,
        liveness=quick(get("/unless/sick"), period=0.05),
        pre_stop=shell("touch sick; sleep 0.6"),
    )
    pod = await node.run(spec)
    await seen(pod, tmp_path, "/unless/sick")
    await pod.delete()

    assert pod.restart_count == 0
    assert pod.said("Killing") == ["Stopping container app"]
    assert pod.phase == "Succeeded"


async def test_exec_sees_the_container(node: Kubelet, tmp_path: Path):
    """A probe's command runs with the container's environment and folder, `$(NAME)` replaced."""
    python = "import os, sys; sys.exit([os.environ['COLOUR'], os.getcwd()] != sys.argv[1:])"
    handler = Exec([sys.executable, "-c", python, "$(COLOUR)", str(tmp_path)])
    pod = await node.run(web(tmp_path, env={"COLOUR": "blue"}, readiness=quick(handler, timeout=5)))
    await pod.until_ready()


@pytest.mark.parametrize("handler", [HttpGet("admin"), TcpSocket("admin")])
async def test_a_port_name_that_does_not_exist(node: Kubelet, tmp_path: Path, handler: Any):
    """The probe cannot be made: an event says why, and the pod does not become ready by it."""
    pod = await node.run(web(tmp_path, readiness=quick(handler)))
    await pod.until(lambda pod: pod.said("Unhealthy"))

    why = "couldn't find port: admin (there are: http)"
    text = f"Readiness probe errored and resulted in failure state: {why}"
    assert pod.said("Unhealthy")[0] == text
    assert not pod.ready

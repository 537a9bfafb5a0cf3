"""What is started again, when, and what a job's end is called."""

from __future__ import annotations

import asyncio
import math
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from lifecycle.testing import (
    Container,
    Exec,
    HttpGet,
    Kubelet,
    PodEnded,
    PodSpec,
    Probe,
    Sleep,
    TcpSocket,
)
from lifecycle.testing.crash_loop import CrashLoop
from tests.testing.kit import get, quick, web


def exits(code: int) -> Container:
    return Container([sys.executable, "-c", f"import sys; print('ran'); sys.exit({code})"])


async def test_a_crash_loop_backs_off(node: Kubelet):
    """The first restart is at once, the next ones wait, each longer, with an event each."""
    pod = await node.run(PodSpec(exits(3)))
    await pod.until(lambda pod: pod.restart_count >= 3)
    await pod.delete()

    started = [each.at for each in pod.events if each.reason == "Started"]
    backing_off = [each for each in pod.events if each.reason == "BackOff"]
    assert backing_off[0].at > started[1]
    assert started[2] - backing_off[0].at >= 0.15
    assert started[3] - backing_off[1].at >= 0.35
    assert pod.exit_codes[:3] == [3, 3, 3]
    assert backing_off[0].message == (
        f"Back-off restarting failed container app in pod app_default({pod.uid})"
    )
    assert pod.phase == "Failed"


async def test_a_deletion_ends_a_back_off(node: Kubelet):
    """A pod that waits to be restarted is deleted at once."""
    async with Kubelet(back_off=60) as slow:
        pod = await slow.run(PodSpec(exits(1)))
        await pod.until(lambda pod: pod.said("BackOff"))
        deletion = await pod.delete()

    assert deletion.sigterm is None
    assert deletion.exit_code == 1


@pytest.mark.parametrize(
    ("policy", "code", "phase"),
    [("Never", 0, "Succeeded"), ("Never", 4, "Failed"), ("OnFailure", 0, "Succeeded")],
)
async def test_a_job_ends(node: Kubelet, policy: str, code: int, phase: str):
    """A job's pod has succeeded with exit code 0, and failed with any other."""
    pod = await node.run(PodSpec(exits(code), restart_policy=policy))
    await pod.until_finished()

    assert (pod.phase, pod.restart_count, pod.exit_codes) == (phase, 0, [code])
    assert pod.output == "ran\n"
    assert not pod.ready


async def test_on_failure_restarts_until_it_succeeds(node: Kubelet, tmp_path: Path):
    """`OnFailure` tries again, and what succeeds is left alone."""
    script = "test -e tried && exit 0; touch tried; exit 7"
    container = Container(["sh", "-c", script], cwd=str(tmp_path))
    pod = await node.run(PodSpec(container, restart_policy="OnFailure"))
    await pod.until_finished()

    assert (pod.phase, pod.exit_codes, pod.restart_count) == ("Succeeded", [7, 0], 1)


async def test_liveness_of_what_is_never_restarted(node: Kubelet, tmp_path: Path):
    """With `Never` a liveness failure ends the pod for good, and the event promises nothing."""
    liveness = quick(get("/status/500"))
    pod = await node.run(web(tmp_path, liveness=liveness, restart_policy="Never"))
    await pod.until_finished()

    assert pod.said("Killing") == ["Container app failed liveness probe"]
    assert pod.restart_count == 0


async def test_a_command_that_is_not_there(node: Kubelet):
    """What cannot be started is a failed container with its reason."""
    pod = await node.run(PodSpec(Container(["no-such-command"]), restart_policy="Never"))
    await pod.until_finished()

    assert (pod.phase, pod.exit_codes) == ("Failed", [128])
    assert pod.said("Failed")[0].startswith("Error: failed to start container")


async def test_a_command_that_became_nonsense(node: Kubelet):
    """A word that is changed after the spec was made is an event, and `run` returns."""
    words = ["true"]
    spec = PodSpec(Container(words), restart_policy="Never")
    words.append("\ud800")
    async with asyncio.timeout(10):
        pod = await node.run(spec)
    assert (pod.phase, pod.exit_codes) == ("Failed", [128])
    (failed,) = pod.said("Failed")
    assert failed.startswith("Error: failed to start container: ")


@pytest.mark.parametrize(
    ("grace", "error", "says"),
    [
        ("3", TypeError, "delete: grace must be a number of seconds, not '3'"),
        (math.nan, ValueError, "delete: grace must be 0 or more and finite, not nan"),
        (-5, ValueError, "delete: grace must be 0 or more and finite, not -5"),
    ],
)
async def test_a_deletion_that_cannot_be(node: Kubelet, grace: Any, error: Any, says: str):
    """It is refused, and the pod goes on."""
    pod = await node.run(PodSpec(Container(["sleep", "60"])))
    with pytest.raises(error, match=re.escape(says)):
        pod.delete(grace)
    assert pod.deletion is None


async def test_waiting_for_what_cannot_come(node: Kubelet):
    """Waiting says so at once when the pod has ended, and describes it when time is up."""
    pod = await node.run(PodSpec(exits(5), restart_policy="Never"))
    await pod.until_finished()
    with pytest.raises(PodEnded, match=r"pod app: Failed, ready False, exits \[5\]"):
        await pod.until_ready(30)
    with pytest.raises(TimeoutError, match="Started container app"):
        await pod.until(lambda pod: pod.ready, 0.05)


async def test_a_kubelet_runs_pods_while_it_is_entered():
    """Outside its context it refuses."""
    with pytest.raises(RuntimeError, match="async with"):
        await Kubelet().run(PodSpec(exits(0)))


def test_the_crash_loop_of_the_real_kubelet():
    """10 s, doubled up to 5 minutes, and forgotten after ten minutes without an exit."""
    loop, now, waits = CrashLoop(), 0.0, []
    for _ in range(8):
        start = loop.wait_until(now)
        waits.append(start - now)
        loop.restarted(now, start)
        now = start + 1

    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]
    assert loop.wait_until(now + 601) == now + 601


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Container("sleep 1"), TypeError),
        (lambda: Container([]), ValueError),
        (lambda: Exec("true"), TypeError),
        (lambda: Probe(TcpSocket(1), period=0), ValueError),
        (lambda: Probe(TcpSocket(1), initial_delay=-1), ValueError),
        (lambda: Probe(TcpSocket(1), termination_grace_period=0), ValueError),
        (lambda: Container(["a"], liveness=Probe(HttpGet(1), success_threshold=2)), ValueError),
        (
            lambda: Container(["a"], readiness=Probe(HttpGet(1), termination_grace_period=9)),
            ValueError,
        ),
        (lambda: PodSpec(Container(["a"], pre_stop=Sleep(31))), ValueError),
        (lambda: PodSpec(Container(["a"]), grace_period=-1), ValueError),
    ],
)
def test_what_an_api_server_refuses(make, error):
    """A manifest that Kubernetes would not take is refused, in words."""
    with pytest.raises(error, match=r"\w+"):
        make()

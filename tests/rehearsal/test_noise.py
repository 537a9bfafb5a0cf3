"""A machine made noisy on purpose: nothing is called fine then, and what was surely lost is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle.rehearsal.load.generator import LoadGenerator
from lifecycle.rehearsal.plan import Plan, Traffic
from lifecycle.rehearsal.rehearsal import Rehearsal
from lifecycle.rehearsal.verdict.judge import Verdict
from lifecycle.rehearsal.verdict.result import Result
from lifecycle.testing.environment import handed_on

HERE = Path(__file__).parent
LIFECYCLE = [sys.executable, "-m", "lifecycle"]
OURS = (*LIFECYCLE, "run", "--asgi", "shop:app", "--bind", "127.0.0.1:{port}")
UVICORN = (sys.executable, "-m", "uvicorn", "shop:app", "--port", "{port}")
SECONDS = 1.2
"""For how long something stands still: longer than any result can be judged with."""
LIMIT = 50.0
Disturb = Callable[[Rehearsal], None]


def stop(pid: int) -> None:
    """Stop a process, and let it go on after a while."""
    os.kill(pid, signal.SIGSTOP)
    asyncio.get_running_loop().call_later(SECONDS, os.kill, pid, signal.SIGCONT)


def stop_load(rehearsal: Rehearsal) -> None:
    assert isinstance(rehearsal.load, LoadGenerator)
    stop(rehearsal.load._workers[0].pid)


def block_rehearsal(rehearsal: Rehearsal) -> None:
    asyncio.get_running_loop().call_later(0.1, time.sleep, SECONDS)


def stop_replica(rehearsal: Rehearsal) -> None:
    assert rehearsal.deployment is not None
    pid = rehearsal.deployment.replicas[0].pod.pid
    assert pid is not None
    stop(pid)


def rehearse(command: tuple[str, ...], disturb: Disturb) -> Result:
    """Rehearse one rollout, and disturb it in the moment before T0."""
    disturbed: list[str] = []

    def changed(rehearsal: Rehearsal) -> None:
        if "is deleted" in rehearsal.phase and not disturbed:
            disturbed.append(rehearsal.phase)
            disturb(rehearsal)

    async def main() -> Result:
        traffic = Traffic(clients=20, processes=1)
        plan = Plan(command, traffic, replicas=1, cwd=str(HERE), env={"LIFECYCLE_SETTLE": "3"})
        async with asyncio.timeout(LIMIT):
            return await Rehearsal(plan, changed).run()

    return asyncio.run(main())


def longest(result: Result) -> float:
    stalls = (*result.stalls, *result.tally.stalls)
    return max((each.ended - each.began for each in stalls), default=0.0)


@pytest.mark.parametrize(
    ("disturb", "who"),
    [(stop_load, "the load generator stood"), (block_rehearsal, "the rehearsal stood")],
)
def test_nothing_lost_on_a_noisy_machine_is_inconclusive(disturb: Disturb, who: str):
    """Whoever stood still while a replica left may have missed a loss, and it is said what to do."""
    result = rehearse(OURS, disturb)
    assert (result.verdict, result.lost) == (Verdict.INCONCLUSIVE, 0)
    assert result.verdict_of(result.rollouts[0]) is Verdict.INCONCLUSIVE
    assert longest(result) >= SECONDS - 0.1
    (why,) = [each for each in result.why_inconclusive() if each.startswith(who)]
    assert "Lower --rate, --clients or --busy" in why
    assert why in result.findings()


@pytest.mark.parametrize("disturb", [stop_load, block_rehearsal])
def test_what_no_noise_can_explain_is_lost(disturb: Disturb):
    """A listener that is closed before clients can know loses requests on any machine."""
    result = rehearse(UVICORN, disturb)
    assert result.verdict is Verdict.LOST
    assert longest(result) >= SECONDS - 0.1
    assert "refused" in {str(each.cause) for each in result.groups()}


def test_a_replica_that_stands_still_is_no_noise():
    """That is the app's own: neither the load generator nor the rehearsal is late with it."""
    assert longest(rehearse(OURS, stop_replica)) < SECONDS - 0.1


def worker_of(pid: int) -> int:
    """Return the process id of the load generator's process."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        found = [int(word) for word in file.read().split()]
    return next(
        each
        for each in found
        if b"lifecycle.rehearsal.load.worker" in Path(f"/proc/{each}/cmdline").read_bytes()
    )


def test_the_command_ends_with_a_code_of_its_own(tmp_path: Path):
    """3, and stdout, the report and the JUnit file all say INCONCLUSIVE."""
    report, junit = tmp_path / "report.html", tmp_path / "junit.xml"
    options = ["--replicas", "1", "--processes", "1"]
    files = ["--report", str(report), "--junit", str(junit)]
    words = [*LIFECYCLE, "rehearse", *options, *files, "--", *OURS]
    with subprocess.Popen(
        words, cwd=HERE, env=handed_on(), stdout=-1, stderr=-1, text=True
    ) as process:
        try:
            assert process.stderr is not None
            while "is deleted" not in (line := process.stderr.readline()):
                assert line
            worker = worker_of(process.pid)
            os.kill(worker, signal.SIGSTOP)
            time.sleep(SECONDS)
            os.kill(worker, signal.SIGCONT)
            out, said = process.communicate(timeout=LIMIT)
        finally:
            process.kill()
    assert process.returncode == 3
    assert out.startswith("INCONCLUSIVE: nothing was lost, but the machine was too noisy to tell")
    assert "Lower --rate, --clients or --busy" in out.replace("\n  ", " ")
    assert "done: inconclusive" in said
    assert '<p class="verdict doubt">INCONCLUSIVE' in report.read_text(encoding="utf-8")
    (suite,) = ET.fromstring(junit.read_text(encoding="utf-8"))
    assert (suite.get("errors"), suite.get("failures")) == ("1", "0")
    (error,) = suite.iter("error")
    assert error.get("type") == "inconclusive"
    assert "stood still" in (error.text or "")

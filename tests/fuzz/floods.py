"""
Each flood on each port: the probes, the memory, what stays behind, and both ways to end it.

A trial has two halves: the flood comes and goes, and nothing may stay; then it comes again,
and the process is told to end while it lasts.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.fuzz import target
from tests.fuzz.ending import ended
from tests.fuzz.flooder import FLOODS, INSIDE_TLS
from tests.fuzz.watch import Seen, Watch, bystander
from tests.process.kit import App, wait_for

SETTINGS: Final = {
    "LIFECYCLE_SETTLE": "0.5",
    "LIFECYCLE_QUIET": "0.2",
    "LIFECYCLE_STOP_TIMEOUT": "0.5",
    "LIFECYCLE_GRACE_PERIOD": "5",
}
GROWTH: Final = 30.0
"""MiB that a process may grow by while it is flooded."""
KEPT: Final = 15.0
"""MiB of these that it may keep: freed memory is not given back to the last page."""
BACK: Final = 6.0
"""Seconds until all is as it was."""
SECOND: Final = 0.7
"""Seconds of the second flood before the process is told to end."""
ROOT: Final = Path(__file__).parent.parent.parent

TLS: Final = INSIDE_TLS | {"half handshakes", "split handshakes"}
"""Floods of an app's port that speaks TLS."""
CUTS: Final = frozenset({"h2 requests", "h2 requests, deaf", "h1 pipelining, deaf"})
"""
Floods of requests that may be unanswered at the deadline: more than the app can answer meanwhile,
or from clients that do not read. All others ask for nothing, or are answered in time.
"""


@dataclass(frozen=True)
class Trial:
    """One flood on one port, and one way to end."""

    flood: str
    qos: bool
    prestop: bool

    def __str__(self) -> str:
        way = "preStop" if self.prestop else "SIGTERM"
        return f"{self.flood}, {'QOS' if self.qos else 'app'}, {way}"


@dataclass
class Result:
    """What a trial has shown."""

    trial: Trial
    seen: Seen = field(default_factory=Seen)
    growth: float = 0.0
    kept: float = 0.0
    left: float = 0.0
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.trial!s:42} probes {self.seen.probes:4}, slowest {self.seen.slowest * 1000:6.0f} ms, "
            f"memory +{self.growth:5.1f} MiB, kept {self.kept:5.1f}, left after {self.left:4.1f} s"
        )


def trials(*, every: bool) -> list[Trial]:
    """Return all there are; not `every`: each flood on each port once, the ends in turn."""
    return [
        Trial(flood, qos, prestop)
        for number, flood in enumerate(FLOODS)
        for qos in (False, True)
        for prestop in (False, True)
        if not (qos and flood in INSIDE_TLS)
        if every or prestop is bool((number + qos) % 2)
    ]


@contextlib.contextmanager
def flooding(flood: str, port: int) -> Iterator[None]:
    """Flood meanwhile: the block begins when the flood does."""
    argv = [sys.executable, "-m", "tests.fuzz.flooder", flood, str(port)]
    process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if not process.stdout.readline():
            raise RuntimeError(f"the flood {flood!r} did not begin")
        yield
    finally:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def tried(trial: Trial, seconds: float) -> Result:
    """Try one out."""
    result = Result(trial)
    tls = trial.flood in TLS and not trial.qos
    with (
        tempfile.TemporaryDirectory() as folder,
        target.start(Path(folder), SETTINGS, tls=tls) as app,
        bystander() as by,
    ):
        app.wait_state("ready")
        with Watch(app, by, ask_app=not tls) as watch:
            result.seen = watch.seen
            wait_for(watch.warm, 30, "the first probes")
            base, files = target.memory(app), target.descriptors(app)
            target.forget_peak(app)
            port = app.qos if trial.qos else app.port
            with flooding(trial.flood, port):
                time.sleep(seconds)
            result.growth = target.memory(app, "VmHWM") - base
            look_back(result, app, base, files)
            with flooding(trial.flood, port):
                time.sleep(SECOND)
                watch.draining = True
                cuts = trial.flood in CUTS and not trial.qos
                result.left, wrong = ended(app, prestop=trial.prestop, cuts=cuts)
        result.faults += [*watch.seen.faults, *wrong, *target.complaints(app.stderr)]
    if result.growth > GROWTH:
        result.faults.append(f"memory +{result.growth:.0f} MiB")
    return result


def look_back(result: Result, app: App, base: float, files: int) -> None:
    """See whether all is as it was, once the flood has gone."""

    def kept() -> list[str]:
        result.kept = target.memory(app) - base
        in_flight, more = target.in_flight(app), target.descriptors(app) - files
        return [
            *([f"{in_flight} in flight"] if in_flight > 1 else []),
            *([f"{more} descriptors more"] if more > 5 else []),
            *([f"memory +{result.kept:.0f} MiB"] if result.kept > KEPT else []),
        ]

    deadline = time.monotonic() + BACK
    while (wrong := kept()) and time.monotonic() < deadline:
        time.sleep(0.1)
    result.faults += [f"{each}, {BACK:g} s after the flood" for each in wrong]


def run(names: str, seconds: float, *, every: bool, at_once: int) -> list[Result]:
    """
    Try all out whose name has `names` in it, some at a time, and print each.

    What was not `every` one, but some side by side on a machine that others may use too, is
    tried once more alone where it was found wrong, and what that shows counts.
    """

    def one(trial: Trial) -> Result:
        try:
            result = tried(trial, seconds)
        except Exception as error:  # noqa: BLE001 - a target that broke is what is looked for
            result = Result(trial, faults=[f"{type(error).__name__}: {error}"])
        print(result, *(f"\n    FAULT {each}" for each in result.faults), flush=True)
        return result

    with ThreadPoolExecutor(at_once) as pool:
        chosen = [each for each in trials(every=every) if names in str(each)]
        results = list(pool.map(one, chosen))
    if every or not (wrong := [each.trial for each in results if each.faults]):
        return results
    print(f"once more, alone: {len(wrong)}", flush=True)
    return [each for each in results if not each.faults] + [one(trial) for trial in wrong]

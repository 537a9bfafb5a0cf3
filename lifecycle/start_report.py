"""
The start report: the seconds of each step of a start, from the start of the process to READY.

Rules of this file:

1. Nothing is imported here that is not loaded anyway, and a step costs about a microsecond.
2. The number of steps is limited. Of many finished steps, the longest are kept.
3. Steps may run side by side, and be started and ended on any thread.
"""

from __future__ import annotations

import heapq
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from lifecycle.plain import one_line

if TYPE_CHECKING:
    from lifecycle.status_records import StartStatus, StepStatus

KEPT: Final = 100
"""Steps that are kept at most: as many running, and as many finished ones."""
LOGGED: Final = 12
"""Steps that the summary has at most."""
SHORTEST: Final = 0.001
"""Seconds. A shorter step is not in the summary."""
NAME_LENGTH: Final = 120
"""Characters of a name. Names of services and plugins are not ours."""


class Step:
    """One step, with the time of its start and, if it has ended, its seconds."""

    __slots__ = ("began", "name", "seconds")

    def __init__(self, name: str, began: float) -> None:
        self.name = name
        self.began = began
        self.seconds: float | None = None

    def __lt__(self, other: Step) -> bool:
        return (self.seconds or 0.0) < (other.seconds or 0.0)

    def status(self, zero: float, now: float) -> StepStatus:
        """Return the step as `/status` shows it."""
        seconds = now - self.began if self.seconds is None else self.seconds
        shown: StepStatus = {
            "name": self.name,
            "began": round(self.began - zero, 3),
            "seconds": round(seconds, 3),
        }
        if self.seconds is None:
            shown["running"] = True
        return shown


class Summary(NamedTuple):
    """
    A start in short, for the log.

    Attributes:
        seconds: The seconds from the start of the process to READY.
        slowest: The name of the longest step.
        steps: The seconds of the longest steps, the longest first. Steps of one name are added up.
        unfinished: The names of the steps that still run.
    """

    seconds: float
    slowest: str
    steps: dict[str, float]
    unfinished: list[str]


class StartReport:
    """
    The steps of one start. Any thread may call it.

    Args:
        clock: Returns the time.
        entry: The name of the step from our first line to the start of pod-lifecycle.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, entry: str = "program") -> None:
        self._clock = clock
        self._entry = entry
        self._zero = clock()
        self._lock = threading.Lock()
        self._running: dict[Step, None] = {}
        self._longest: list[Step] = []
        self._main: Step | None = None
        self._ended_at: float | None = None

    def opened(self, *, first: bool) -> None:
        """
        Start to count.

        Args:
            first: True if this is the first `Lifecycle` of the process. The time then counts from
                the start of the process, otherwise from now.
        """
        now = self._zero = self._clock()
        if not first:
            return
        process, line = _age_of_process(), _age_of_first_line()
        line = min(line, process) if process is not None else line
        if process is not None:
            self._zero = now - process
            self._add("process", self._zero, process - line)
        else:
            self._zero = now - line
        self._add(self._entry, now - line, line)

    @property
    def over(self) -> bool:
        """True once the app has been READY, or has started to drain."""
        return self._ended_at is not None

    def begin(self, name: str, *, after_ready: bool = False) -> Step:
        """
        Start a step.

        Args:
            name: Its name.
            after_ready: True to keep the step even if it starts after READY.
        """
        step = Step(one_line(name[:NAME_LENGTH]), self._clock())
        if self._ended_at is None or after_ready:
            with self._lock:
                self._running[step] = None
        return step

    def end(self, step: Step | None) -> None:
        """End a step."""
        if step is None:
            return
        with self._lock:
            if self._running.pop(step, step) is None:
                self._keep(step, self._clock() - step.began)

    def drop(self, step: Step | None) -> None:
        """Forget a step, because it is no longer wanted."""
        if step is not None:
            with self._lock:
                self._running.pop(step, None)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure a block. If the block is cancelled or interrupted, its step has not ended."""
        step = self.begin(name)
        try:
            yield
        except Exception:
            self.end(step)
            raise
        self.end(step)

    def main(self, name: str = "") -> None:
        """Start a step of main, and end the one before. Without a name, there is no next one."""
        before, self._main = self._main, self.begin(name) if name else None
        self.end(before)

    def finish(self) -> None:
        """Note that the start is over. Steps that still run are shown as running."""
        if self._ended_at is None:
            self._ended_at = self._clock()

    def _add(self, name: str, began: float, seconds: float) -> None:
        with self._lock:
            self._keep(Step(name, began), seconds)

    def _keep(self, step: Step, seconds: float) -> None:
        step.seconds = seconds
        if len(self._longest) < KEPT:
            heapq.heappush(self._longest, step)
        else:
            heapq.heappushpop(self._longest, step)

    # What is shown

    def _steps(self) -> list[Step]:
        with self._lock:
            known = [*self._longest, *islice(self._running, KEPT)]
        return sorted(known, key=lambda step: step.began)

    def status(self) -> StartStatus:
        """Return the start as `/status` shows it, in the order of its steps."""
        now = self._clock()
        steps = [step.status(self._zero, now) for step in self._steps()]
        ended = now if self._ended_at is None else self._ended_at
        longest = max(steps, key=lambda step: step["seconds"], default=None)
        return {
            "seconds": round(ended - self._zero, 3),
            "over": self._ended_at is not None,
            "steps": steps,
            "slowest": longest["name"] if longest is not None else "",
        }

    def summary(self) -> Summary:
        """Return the start in short, the longest step first."""
        shown = self.status()
        seconds: dict[str, float] = {}
        for step in shown["steps"]:
            seconds[step["name"]] = seconds.get(step["name"], 0.0) + step["seconds"]
        longest = sorted(seconds.items(), key=lambda each: -each[1])
        steps = {name: round(took, 3) for name, took in longest[:LOGGED] if took >= SHORTEST}
        running = [step["name"] for step in shown["steps"] if step.get("running")]
        slowest = next(iter(steps), shown["slowest"])
        return Summary(shown["seconds"], slowest, steps, running[:LOGGED])


def _age_of_process() -> float | None:
    """Return the seconds since the start of this process. None if the kernel does not tell."""
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        ticks = int(fields[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return None
    return max(0.0, age)


def _age_of_first_line() -> float:
    """Return the seconds since the first line of this package was run."""
    began: float = getattr(sys.modules.get("lifecycle"), "__began__", time.monotonic())
    return max(0.0, time.monotonic() - began)

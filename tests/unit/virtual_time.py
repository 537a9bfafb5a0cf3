"""
A loop whose time is virtual, and a stage on which the parts of the control loop play.

The loop never sleeps: when nothing is ready, the clock jumps to the next timer. Worker
threads are real, so while one is at work the loop really waits for it; one that hangs on
purpose says so by waiting on a `Hang`, and then time goes on without it.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.control_thread import ControlThread
from lifecycle.calls.dispatch import Call, Shared
from lifecycle.calls.moment import Moment
from lifecycle.calls.plugins import Implementation
from lifecycle.config import Config
from lifecycle.contracts import PROBE_MARK, Instance, ProbeOptions
from lifecycle.core import Core
from lifecycle.drain.host import Embedded
from lifecycle.log import Log, LogEntry
from lifecycle.runtime import core_of, handle_of

T = TypeVar("T")

REAL_LIMIT = 10.0
"""Seconds of real time that a worker thread may take before the test fails."""
EPOCH = 1000.0


class Deadlock(AssertionError):
    """Nothing is ready, and no timer will ever make it so."""


class Hang:
    """What a hook waits on when it is to hang in a thread, until the test lets it go."""

    hanging = 0
    _lock = threading.Lock()

    def __init__(self) -> None:
        self._free = threading.Event()

    def wait(self) -> None:
        """Hang."""
        self._count(1)
        try:
            if not self._free.wait(REAL_LIMIT):
                raise AssertionError("nobody let it go")
        finally:
            self._count(-1)

    def let_go(self) -> None:
        """Let every one that hangs go on."""
        self._free.set()

    @classmethod
    def _count(cls, by: int) -> None:
        with cls._lock:
            cls.hanging += by


def workers() -> list[threading.Thread]:
    """Return the threads that the dispatcher has started and that still live."""
    own = ("lifecycle-log", "lifecycle-control", "lifecycle-watchdog")
    return [
        thread
        for thread in threading.enumerate()
        if thread.name.startswith("lifecycle-") and thread.name not in own
    ]


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    def __init__(self) -> None:
        super().__init__()
        self.now = EPOCH
        self.outside: Callable[[], bool] = lambda: False

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if events or timeout == 0:
            return events
        began = time.monotonic()
        while self.outside() or len(workers()) > Hang.hanging:
            if events := super().select(0.001):
                return events
            if time.monotonic() - began > REAL_LIMIT:
                raise Deadlock(f"still at work: {workers()}")
        if events := super().select(0):
            return events
        if timeout is None:
            raise Deadlock("nothing is ready, and no timer is set")
        self.now += timeout
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop that advances its clock instead of sleeping."""

    def __init__(self) -> None:
        self.clock = _Selector()
        super().__init__(self.clock)

    def time(self) -> float:
        """Return the virtual time."""
        return self.clock.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time; no task may be left, and no callback may fail."""
    failures: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: failures.append(context))
        value = runner.run(_alone(main))
    assert failures == []
    return value


async def _alone(main: Coroutine[Any, Any, T]) -> T:
    value = await main
    for _ in range(5):  # what was cancelled last has a few steps to end
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert left == set(), left
    return value


def now() -> float:
    """Return the running loop's time."""
    return asyncio.get_running_loop().time()


async def hang_for_ever() -> None:
    """Wait for what never comes."""
    await asyncio.get_running_loop().create_future()


class Endless:
    """An async hook that hangs until it is cancelled, and notes when that was."""

    def __init__(self) -> None:
        self.ended: list[float] = []

    async def __call__(self) -> None:
        try:
            await hang_for_ever()
        finally:
            self.ended.append(now())


async def until(condition: Callable[[], bool], within: float = 3600.0) -> None:
    """Let virtual time pass until something is so."""
    end = now() + within
    while not condition():
        assert now() < end, "it did not come"
        await asyncio.sleep(0.01)


def implementation(
    function: Callable[..., Any], *, plugin: str = "p", hook: str = "h", inline: bool = False
) -> Implementation:
    """Make an implementation of a hook that takes no argument."""
    options = getattr(function, PROBE_MARK, ProbeOptions())
    return Implementation(plugin, hook, function, (), options, inline)


C = TypeVar("C", bound=Call)


def made(
    kind: type[C],
    function: Callable[..., Any],
    app_loop: AppLoop,
    timeout: float | None = 0.8,
    **how: Any,
) -> C:
    """Make a call of some kind of a function as a hook."""
    start_within = how.pop("start_within", None)
    return kind(implementation(function, **how), app_loop, timeout, start_within)


def call(
    function: Callable[..., Any], app_loop: AppLoop, timeout: float | None = 0.8, **how: Any
) -> Shared:
    """Make the shared call of a function as a hook: a probe's."""
    return made(Shared, function, app_loop, timeout, **how)


async def idle(asked: Shared) -> None:
    """Wait until no run of a shared call is outstanding."""
    if asked._run is not None:
        await asyncio.wait({asked._run.ended})


class Diary:
    """A log, and what was written into it."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.log = Log(self.write)

    def write(self, entry: LogEntry) -> None:
        """Keep an event."""
        self.lines.append((entry.event, entry.fields))

    def of(self, event: str) -> list[dict[str, Any]]:
        """Return the fields of every event of a name, once all is written."""
        self.log.flush(5)
        return [fields for name, fields in self.lines if name == event]


def attached(loop_time: Callable[[], float] | None = None) -> AppLoop:
    """Return a guest that is attached to the running loop."""
    app_loop = AppLoop(loop_time or asyncio.get_running_loop().time)
    app_loop.attach()
    return app_loop


def move(app_loop: AppLoop, loop: asyncio.AbstractEventLoop) -> None:
    """Have the app's loop be another one: that is stuck, or closed, or the one it was."""
    app_loop._loop = loop


def posted(stuck: asyncio.AbstractEventLoop) -> list[asyncio.Handle]:
    """Return what a loop that is stuck has been asked for."""
    return [*stuck._ready]  # type: ignore[attr-defined]


def how_many_wait(moment: Moment[Any]) -> int:
    """Return how many wait for a moment."""
    return len(moment._waiters)


def instance(service: str = "orders", port: int | None = 8080) -> Instance:
    """Make the instance of a service."""
    return Instance(service, "192.0.2.7", port, f"pod/{service}")


class Here(ControlThread):
    """A control thread that is this thread."""

    here = True  # type: ignore[assignment]

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.loop = loop


class StageHost(Embedded):
    """A host to whom main belongs, as in a process of ours, and who does nothing of himself."""

    joining_is_the_signal = False
    cancels_main = ends_in_time = True

    @property
    def ours(self) -> bool:
        """Whether main is ours in every sense, or in none."""
        return self.cancels_main

    @ours.setter
    def ours(self, ours: bool) -> None:
        self.cancels_main = self.ends_in_time = ours
        self.joining_is_the_signal = not ours


class Stage:
    """
    A real `Lifecycle` whose control loop and app's loop are the running one.

    It differs from a started one in its clock, and in having no thread and no port.
    """

    def __init__(self, config: Config, plugins: tuple[object, ...] = ()) -> None:
        loop = asyncio.get_running_loop()
        self.diary = Diary()
        self.life = handle_of(
            lambda life: Core(
                life,
                config,
                renderer=self.diary.write,
                clock=loop.time,
                control=Here(loop),
                host=StageHost,
            )
        )
        self.core = core_of(self.life)
        self.diary.log = self.core.log
        self.conductor = self.core.compose()
        self.departure = self.conductor.departure
        self.host = cast("StageHost", self.core.host)
        for plugin in plugins:
            self.core.plugins.add(plugin)

    async def open(self) -> Stage:
        """Begin to live."""
        self.core.app_loop.attach()
        await self.conductor.activation.activate()
        self.task = asyncio.create_task(self.departure.run())
        return self

    async def close(self) -> None:
        """Wait for the end of the departure."""
        await self.task
        self.core.app_loop.detach()

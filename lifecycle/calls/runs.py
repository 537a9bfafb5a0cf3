"""
One run of a plugin's hook: QUEUED → RUNNING → DONE or ABANDONED.

Rules of this file:

1. Every move is made under one lock: a run is begun on one thread and given up on another.
2. What is given up before it has begun never begins: its caller was told that it did not run.
3. Being told and having ended are two things: callers are told by the deadline, and what
   ignores its cancellation stays outstanding until it has really ended.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Any, NamedTuple

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.threads import run_soon
from lifecycle.exceptions import text_of


class Status(Enum):
    """How a call ended."""

    ANSWERED = auto()
    RAISED = auto()
    LATE = auto()  # it has begun, and not answered in time
    UNSTARTED = auto()  # the app's loop did not get round to it in time; a patient run still waits
    BUSY = auto()  # the run before it has not ended


class Outcome(NamedTuple):
    """What came of one call; `seconds` is how long it took."""

    status: Status
    seconds: float
    value: Any = None
    error: BaseException | None = None
    blocking: bool = False
    """True if it is this very call that holds up the app's loop."""

    def problem(self) -> str:
        """Say in a few words what went wrong; empty if it answered."""
        match self.status:
            case Status.RAISED:
                return f"raised {type(self.error).__name__}: {text_of(self.error)}"
            case Status.LATE if self.blocking:
                return f"no answer for {self.seconds:.1f} s: it blocks the app's loop"
            case Status.LATE:
                return f"no answer for {self.seconds:.1f} s"
            case Status.UNSTARTED:
                return f"not started for {self.seconds:.1f} s: the app's loop is busy or gone"
            case Status.BUSY:
                return f"not started: the previous run is still running after {self.seconds:.1f} s"
        return ""


class Limits(NamedTuple):
    """
    How long a run may take, in seconds.

    Attributes:
        timeout: From its start to its answer; None: until its caller leaves.
        start_within: After this the app's loop is waited for no longer; None: `timeout`.
        patient: True if it waits for the app's loop, and is to begin however late that comes;
            `timeout` counts from then.
    """

    timeout: float | None
    start_within: float | None = None
    patient: bool = False

    @property
    def first(self) -> float | None:
        """When to look for the first time whether it is late."""
        if self.timeout is None or self.start_within is None:
            return self.timeout
        return min(self.timeout, self.start_within)


class _State(Enum):
    QUEUED = auto()
    RUNNING = auto()
    DONE = auto()
    ABANDONED = auto()


class Run:
    """
    One run under way. Made on the control loop.

    `begin`, `attach` and `finish` may be called from any thread, everything else on the
    control loop.

    Attributes:
        told: What its callers get, by the deadline at the latest.
        ended: Set once nothing of it is left.
    """

    def __init__(self, app_loop: AppLoop, limits: Limits) -> None:
        loop = asyncio.get_running_loop()
        self.told: asyncio.Future[Outcome] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._app_loop = app_loop
        self._limits = limits
        self._lock = threading.Lock()
        self._state = _State.QUEUED
        self._task: asyncio.Task[Any] | None = None
        self._cancel: Callable[[], object] = lambda: None
        self._started_at = loop.time()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def in_child(self) -> bool:
        """True in a forked child, where nobody waits for it."""
        return self._app_loop.in_child

    def age(self) -> float:
        """Return how long ago it was asked for, in seconds."""
        return self._loop.time() - self._started_at

    def watch(self) -> None:
        """Give it up at its deadline, whoever still waits."""
        if self._limits.first is not None and not self.told.done():
            self._timer = self._loop.call_at(
                self._started_at + self._limits.first, self._at_a_deadline
            )

    def begin(self) -> bool:
        """Say that it begins now; False if it was given up meanwhile, and must not."""
        with self._lock:
            if self._state is not _State.QUEUED:
                return False
            self._state = _State.RUNNING
        if self._limits.patient:
            run_soon(self._loop, self._count_anew)
        return True

    def attach(self, task: asyncio.Task[Any], cancel: Callable[[], object]) -> bool:
        """Say which task it is, before its first step; False if it must not take that step."""
        with self._lock:
            self._task, self._cancel = task, cancel
            return self._state is _State.RUNNING

    def finish(self, value: Any, error: BaseException | None) -> None:
        """Say how it ended; only the first time counts."""
        with self._lock:
            if self._state is _State.RUNNING:
                self._state = _State.DONE
        status = Status.ANSWERED if error is None else Status.RAISED
        run_soon(self._loop, lambda: self._end(Outcome(status, self.age(), value, error)))

    def answer(self, value: Any, error: BaseException | None) -> None:
        """Say how it ended, here and now."""
        status = Status.ANSWERED if error is None else Status.RAISED
        self._end(Outcome(status, self.age(), value, error))

    def abandon(self, *, if_queued: bool = False) -> bool:
        """
        Give it up: what has not begun never will, what has begun is cancelled, once.

        Args:
            if_queued: Only if it has not begun.

        Returns:
            Whether it is given up by this.
        """
        with self._lock:
            before = self._state
            if before is not _State.QUEUED and (if_queued or before is not _State.RUNNING):
                return False
            self._state = _State.ABANDONED
            cancel = self._cancel
        if before is _State.QUEUED:
            self._end(Outcome(Status.UNSTARTED, self.age()))
        else:
            self._tell(self.late())
            cancel()
        return True

    def late(self) -> Outcome:
        """Return what to say of it, when it goes on after its deadline."""
        task = self._task
        blocking = task is not None and self._app_loop.runs(task)
        return Outcome(Status.LATE, self.age(), blocking=blocking)

    def _at_a_deadline(self) -> None:
        limits = self._limits
        if limits.patient:
            with self._lock:
                late = self._state is _State.QUEUED
            if late:
                self._tell(Outcome(Status.UNSTARTED, self.age()))
        elif limits.timeout is None or limits.first == limits.timeout:
            self.abandon()
        elif not self.abandon(if_queued=True):
            self._wait_until(self._started_at + limits.timeout)

    def _count_anew(self) -> None:
        if self._limits.timeout is not None and not self.ended.done():
            self._wait_until(self._loop.time() + self._limits.timeout)

    def _wait_until(self, deadline: float) -> None:
        self._timer = self._loop.call_at(deadline, self.abandon)

    def _tell(self, outcome: Outcome) -> None:
        if not self.told.done():
            self.told.set_result(outcome)

    def _end(self, outcome: Outcome) -> None:
        if self.ended.done():
            return
        if self._timer is not None:
            self._timer.cancel()
        self.ended.set_result(None)
        self._tell(outcome)


async def guard(
    awaitable: Awaitable[Any], run: Run, cancel: Callable[[asyncio.Task[Any]], object]
) -> None:
    """Await what a hook returned, as a task of its own, and say how it ended."""
    task = asyncio.current_task()
    if task is None or not run.attach(task, lambda: cancel(task)):
        run.finish(None, asyncio.CancelledError())
        return
    try:
        value = await awaitable
    except BaseException as error:
        if run.in_child:  # which wants out: nobody is there to be told
            raise
        run.finish(None, error)  # a plugin's SystemExit must not end the loop
    else:
        run.finish(value, None)


def see_out(task: asyncio.Task[None], awaitable: Awaitable[Any], run: Run) -> None:
    """Take note of a guard's end too if it was cancelled before its first step."""

    def over(_: asyncio.Task[None]) -> None:
        drop(awaitable)
        run.finish(None, asyncio.CancelledError())

    task.add_done_callback(over)


def drop(awaitable: Awaitable[Any]) -> None:
    """Close a coroutine that may never have been awaited."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()

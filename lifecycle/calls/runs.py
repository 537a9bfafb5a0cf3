"""
One run of a plugin's hook: QUEUED → RUNNING → DONE or ABANDONED.

Rules of this file:

1. Every change of state holds one lock, because a run starts on one thread and may be abandoned
   on another.
2. A run that is abandoned before its start never starts, because its caller got this answer.
3. The answer and the end of a run are separate. Callers get an answer by the deadline. A run that
   ignores its cancellation counts as running until it has really ended.
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
    LATE = auto()  # started, but gave no answer in time
    UNSTARTED = auto()  # the app's loop was busy for too long. A patient run still waits.
    BUSY = auto()  # the previous run has not ended


class Outcome(NamedTuple):
    """The outcome of one call. `seconds` is its duration."""

    status: Status
    seconds: float
    value: Any = None
    error: BaseException | None = None
    blocking: bool = False
    """True if this call blocks the app's loop."""

    def problem(self) -> str:
        """Return the problem in a few words. Empty if there was an answer."""
        match self.status:
            case Status.RAISED:
                return f"raised {type(self.error).__name__}: {text_of(self.error)}"
            case Status.LATE if self.blocking:
                return (
                    f"gave no answer for {self.seconds:.1f} s, because it blocks the app's "
                    "event loop"
                )
            case Status.LATE:
                return f"gave no answer for {self.seconds:.1f} s"
            case Status.UNSTARTED:
                return (
                    f"not started within {self.seconds:.1f} s, because the app's event loop is "
                    "busy or has ended"
                )
            case Status.BUSY:
                return f"not started: the previous run is still running after {self.seconds:.1f} s"
        return ""


class Limits(NamedTuple):
    """
    The time limits of a run, in seconds.

    Attributes:
        timeout: From its start to its answer. None means until its caller leaves.
        start_within: The longest wait for the app's loop. None means `timeout`.
        patient: True if the run must start even if the app's loop is free very late. `timeout`
            then counts from this start.
    """

    timeout: float | None
    start_within: float | None = None
    patient: bool = False

    @property
    def first(self) -> float | None:
        """The time of the first check whether the run is late."""
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
    One run of a hook. Made on the control loop.

    `begin`, `attach` and `finish` may be called from any thread, everything else on the
    control loop.

    Attributes:
        told: The outcome for the callers. Set by the deadline at the latest.
        ended: Set when the run has really ended.
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
        """True in a forked child, which has no caller that waits."""
        return self._app_loop.in_child

    def age(self) -> float:
        """Return the seconds since the run was requested."""
        return self._loop.time() - self._started_at

    def watch(self) -> None:
        """Start the timer that abandons the run at its deadline."""
        if self._limits.first is not None and not self.told.done():
            self._timer = self._loop.call_at(
                self._started_at + self._limits.first, self._at_a_deadline
            )

    def begin(self) -> bool:
        """Mark the run as started. False if it is already abandoned and must not start."""
        with self._lock:
            if self._state is not _State.QUEUED:
                return False
            self._state = _State.RUNNING
        if self._limits.patient:
            run_soon(self._loop, self._count_anew)
        return True

    def attach(self, task: asyncio.Task[Any], cancel: Callable[[], object]) -> bool:
        """Store the task of the run, before its first step. False if it must not take this step."""
        with self._lock:
            self._task, self._cancel = task, cancel
            return self._state is _State.RUNNING

    def finish(self, value: Any, error: BaseException | None) -> None:
        """Store how the run ended. Only the first call counts."""
        with self._lock:
            if self._state is _State.RUNNING:
                self._state = _State.DONE
        status = Status.ANSWERED if error is None else Status.RAISED
        run_soon(self._loop, lambda: self._end(Outcome(status, self.age(), value, error)))

    def answer(self, value: Any, error: BaseException | None) -> None:
        """Store how the run ended, and wake the callers now."""
        status = Status.ANSWERED if error is None else Status.RAISED
        self._end(Outcome(status, self.age(), value, error))

    def abandon(self, *, if_queued: bool = False) -> bool:
        """
        Abandon the run. It never starts or, if it has started, it is cancelled once.

        Args:
            if_queued: Abandon the run only if it has not started.

        Returns:
            True if this call has abandoned the run.
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
        """Return the outcome of a run that continues after its deadline."""
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
    """Await the awaitable of a hook in its own task, and store how it ended."""
    task = asyncio.current_task()
    if task is None or not run.attach(task, lambda: cancel(task)):
        run.finish(None, asyncio.CancelledError())
        return
    try:
        value = await awaitable
    except BaseException as error:
        if run.in_child:  # no caller waits in a forked child
            raise
        run.finish(None, error)  # a plugin's SystemExit must not end the loop
    else:
        run.finish(value, None)


def see_out(task: asyncio.Task[None], awaitable: Awaitable[Any], run: Run) -> None:
    """Finish the run even if its task was cancelled before the first step."""

    def over(_: asyncio.Task[None]) -> None:
        drop(awaitable)
        run.finish(None, asyncio.CancelledError())

    task.add_done_callback(over)


def drop(awaitable: Awaitable[Any]) -> None:
    """Close a coroutine that may never have been awaited."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()

"""
Calls every hook of every plugin, isolated and with a time limit.

Rules of this file:

1. Async hooks run on the app's loop, plain functions in a thread, built-in plugins on the control
   loop.
2. Probes share a run, so that calls cannot pile up. A shared run ends by its deadline, and never
   because one of its callers leaves.
3. A run that is not shared ends with its caller. If the caller got a refusal, the run does not
   start later.
4. A call ends by its deadline, whatever the plugin does. The outcome contains the reason.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any, Final

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.durations import Durations
from lifecycle.calls.plugins import Implementation
from lifecycle.calls.runs import Limits, Outcome, Run, Status, drop, guard, see_out
from lifecycle.calls.threads import run_in_thread

MOST_ANSWERS: Final = 10_000
"""Answers that a generator may yield, so that an endless one does not fill the memory."""


class Call:
    """
    Calls one implementation of one hook. Subclasses decide how runs relate to callers.

    For the control loop.

    Args:
        implementation: The implementation to call.
        app_loop: The app's loop.
        timeout: Seconds that a run may take. None means until the caller is cancelled.
        start_within: Seconds that a run waits for a busy app loop. None means `timeout`.
    """

    patient = False

    def __init__(
        self,
        implementation: Implementation,
        app_loop: AppLoop,
        timeout: float | None,
        start_within: float | None = None,
    ) -> None:
        self.implementation = implementation
        self.plugin = implementation.plugin
        self.timeout = implementation.options.timeout or timeout
        self._app_loop = app_loop
        self._is_async = _is_async(implementation.function)
        waits = self._is_async and not implementation.inline
        self._limits = Limits(self.timeout, start_within, self.patient and waits)
        self._outside = _Outside(app_loop)

    @property
    def threaded(self) -> bool:
        """True if each run has a thread, which cannot be stopped from outside."""
        return not self.implementation.inline and not self._is_async

    def _start(self, given: tuple[Any, ...], offered: dict[str, Any]) -> Run:
        run = Run(self._app_loop, self._limits)
        call = self._bind(given, offered)
        if self.implementation.inline:
            run.begin()
            _run_here(run, call)
        elif self._is_async:
            if not self._outside.put(run, lambda: self._run_on_app_loop(run, call)):
                run.abandon()
            run.ended.add_done_callback(lambda _: self._outside.drop(run))
        else:
            run.begin()
            try:
                run_in_thread(lambda: _plain(call()), run.finish, name=f"lifecycle-{self.plugin}")
            except RuntimeError as error:
                run.answer(None, error)
        run.watch()
        return run

    def _bind(self, given: tuple[Any, ...], offered: dict[str, Any]) -> Callable[[], Any]:
        each = self.implementation
        return partial(each.function, *given, **each.arguments(offered))

    def _run_on_app_loop(self, run: Run, call: Callable[[], Any]) -> None:
        if not run.begin():
            return
        try:
            awaitable = call()
        except BaseException as error:  # noqa: BLE001 - a wrong argument, a failing decorator
            run.finish(None, error)
            return
        guarded = guard(awaitable, run, lambda task: self._app_loop.post(task.cancel))
        try:
            task = self._app_loop.run_hook(guarded, f"lifecycle-{self.plugin}")
        except BaseException as error:  # noqa: BLE001 - the task factory of the app
            guarded.close()
            drop(awaitable)
            run.finish(None, error)
            return
        see_out(task, awaitable, run)


class Shared(Call):
    """One run for all callers at the same time. Only its deadline can end it early."""

    _run: Run | None = None
    _closed = False
    durations: Durations | None = None
    """The durations of the runs that have started. Built-in plugins are not measured."""

    async def __call__(self, *given: Any, **offered: Any) -> Outcome:
        """Start a run, or share the current one. Never raises an error of the plugin."""
        if self._closed:
            return Outcome(Status.UNSTARTED, 0.0)
        run = self._run
        if run is None or run.ended.done():
            run = self._run = self._start(given, offered)
            if not self.implementation.inline:
                run.told.add_done_callback(self._measure)
        elif run.told.done():
            return run.late()
        if not run.told.done():
            await asyncio.wait({run.told})
        return run.told.result()

    def _measure(self, told: asyncio.Future[Outcome]) -> None:
        outcome = told.result()
        if outcome.status is not Status.UNSTARTED:
            self.durations = self.durations or Durations()
            self.durations.note(outcome.seconds)

    def close(self) -> None:
        """Abandon the current run, and start no other."""
        self._closed = True
        if self._run is not None:
            self._run.abandon()


class Own(Call):
    """One run for each caller. It ends with the caller, and does not start after a refusal."""

    async def __call__(self, *given: Any, **offered: Any) -> Outcome:
        """Start a run. Never raises an error of the plugin."""
        return await _told(self._start(given, offered))


class InTurn(Own):
    """One run for each caller, one after the other. For functions that run in a thread."""

    _run: Run | None = None

    async def __call__(self, *given: Any, **offered: Any) -> Outcome:
        """Start a run when the previous one has ended. BUSY if the previous one hangs."""
        now = asyncio.get_running_loop().time
        until = now() + (self.timeout or 0.0)
        while (run := self._run) is not None and not run.ended.done():
            left = min(until - now(), (self.timeout or 0.0) - run.age())
            await asyncio.wait({run.ended}, timeout=max(0.0, left))
            if not run.ended.done():
                return Outcome(Status.BUSY, run.age())
        run = self._run = self._start(given, offered)
        return await _told(run)


class Delivery(Call):
    """A run that must happen, even if late, so that a busy loop still gets every transition."""

    patient = True

    @property
    def immediate(self) -> bool:
        """True if `now` may be used."""
        return self.implementation.inline and not self._is_async

    def now(self, **offered: Any) -> Outcome:
        """Call a built-in plain function now."""
        return self._start((), offered).told.result()

    async def __call__(self, on_outcome: Callable[[Outcome], None], **offered: Any) -> None:
        """Start a run, report its outcome in time, and return when the run has really ended."""
        run = self._start((), offered)
        on_outcome(await _told(run))
        await _ended(run)


async def _told(run: Run) -> Outcome:
    try:
        if not run.told.done():
            await asyncio.wait({run.told})
    except asyncio.CancelledError:
        run.abandon()
        raise
    return run.told.result()


async def _ended(run: Run) -> None:
    try:
        await asyncio.wait({run.ended})
    except asyncio.CancelledError:
        run.abandon()
        raise


def _run_here(run: Run, call: Callable[[], Any]) -> None:
    try:
        value = call()
    except BaseException as error:  # noqa: BLE001 - this file isolates plugins
        run.answer(None, error)
        return
    if inspect.isawaitable(value):
        guarded = guard(value, run, lambda task: task.cancel())
        see_out(asyncio.create_task(guarded), value, run)
    else:
        run.answer(value, None)


def _plain(value: Any) -> Any:
    if inspect.isgenerator(value):
        several = list(islice(value, MOST_ANSWERS + 1))  # in the thread, because it may take time
        if len(several) > MOST_ANSWERS:
            raise TypeError(f"the hook yielded more than {MOST_ANSWERS} answers")
        return several
    if inspect.iscoroutine(value):
        value.close()
        raise TypeError("the hook returned a coroutine. Declare the hook itself with `async def`.")
    return value


def _is_async(function: Callable[..., Any]) -> bool:
    call = getattr(function, "__call__", None)  # noqa: B004 - for objects with an async call
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


class _Outside:
    """
    Runs that wait for the app's loop, behind one handle of this loop.

    While the loop is blocked, any number of callers may come and go. The loop holds only one
    handle for all of them, and runs without a caller are dropped.
    """

    def __init__(self, app_loop: AppLoop) -> None:
        self._app_loop = app_loop
        self._lock = threading.Lock()
        self._waiting: dict[Run, Callable[[], None]] = {}
        self._posted = False

    def put(self, run: Run, begin: Callable[[], None]) -> bool:
        """Start the run on the app's loop when possible. False if there is no loop."""
        with self._lock:
            if not self._posted:
                self._posted = self._app_loop.post(self._let_in)
            if self._posted and self._app_loop.attached:
                self._waiting[run] = begin
                return True
            return False

    def drop(self, run: Run) -> None:
        """Drop a run that has ended."""
        with self._lock:
            self._waiting.pop(run, None)

    def _let_in(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
            self._posted = False
        for begin in waiting.values():
            begin()

"""
The control thread with its event loop, and all calls from other threads to it.

The thread owns everything that must work when the app does not. The code here never waits for
the app's thread, so that a blocked app cannot stop it.

Rules of this file:

1. The thread is open, then closing, then closed. A call that came while the thread was open gets
   its answer, or `NotRunning` when the thread is closed. Later calls get `NotRunning`. No call
   hangs.
2. A function runs on the control thread, and never in the caller's thread instead.
3. A call has a time limit, because the event loop of the app may be blocked meanwhile. Calls
   without a time limit are for threads without an event loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias, TypeVar

from lifecycle.calls.threads import run_soon, start_thread
from lifecycle.exceptions import LifecycleError, NotRunning, explained

T = TypeVar("T")
Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

CALL_TIME: Final = 5.0
"""Seconds that a call waits for its answer."""
LEAVING: Final = 0.1
"""Seconds that cancelled tasks on the control loop have to end."""


class Late(Exception):
    """Work takes longer than its caller may wait, and was cancelled."""


async def _cancel_all() -> None:
    await asyncio.sleep(0)  # submitted work starts, and becomes a task
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    left.add(asyncio.create_task(asyncio.get_running_loop().shutdown_asyncgens()))
    _, stubborn = await asyncio.wait(left, timeout=LEAVING)
    for task in stubborn:
        # A task that ignores its cancellation is dropped with the loop. This is logged elsewhere.
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - no other way


class ControlThread:
    """
    The control thread with its event loop, and the calls to it.

    The thread is open from `start` until its main returns. It is closing while the rest of the
    tasks end, and then closed.
    """

    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._lock = threading.RLock()  # a signal handler may interrupt the holder
        self._open = False
        self._pending: set[concurrent.futures.Future[Any]] = set()

    def start(self, main: Work, set_up: Work | None = None) -> None:
        """
        Run `set_up()` on the control loop, and then `main()` until it returns.

        Returns when `set_up()` has returned. If `set_up()` raises, the thread ends, and the error
        is raised here.

        Raises:
            LifecycleError: The system cannot start a thread.
        """
        # Not `new_event_loop`, because the loop policy belongs to the app.
        self.loop = asyncio.SelectorEventLoop()
        self._open = True
        up: concurrent.futures.Future[None] = concurrent.futures.Future()

        async def live() -> None:
            try:
                if set_up is not None:
                    await set_up()
            except BaseException as error:  # noqa: BLE001 - raised in the starting thread
                up.set_exception(error)
                return
            up.set_result(None)
            await main()

        try:
            self._thread = start_thread(lambda: self._run(live), "lifecycle-control")
        except LifecycleError:
            self._open = False
            self.loop.close()
            raise
        up.result()

    def _run(self, main: Work) -> None:
        # Not `asyncio.Runner`, which waits forever for a task that ignores its cancellation.
        try:
            self._run_to_its_end(main())
        finally:
            with self._lock:
                self._open = False
            try:
                self._run_to_its_end(_cancel_all())
            finally:
                self._refuse_pending()
                self.loop.close()

    def _refuse_pending(self) -> None:
        for each in list(self._pending):
            with contextlib.suppress(concurrent.futures.InvalidStateError):
                each.set_exception(_ended())

    def forget(self) -> None:
        """Switch to a forked child, in which there is no control thread."""
        self._thread, self._open = None, False
        self._lock = threading.RLock()
        self._pending.clear()

    def _run_to_its_end(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work)
        while not task.done():
            # An exit that foreign code raises stops the loop, but must not end this thread.
            with contextlib.suppress(SystemExit, KeyboardInterrupt):
                self.loop.run_until_complete(task)
        task.result()

    @property
    def here(self) -> bool:
        """True on the control thread itself."""
        return threading.current_thread() is self._thread

    def post(self, function: Callable[[], object]) -> None:
        """Run a function on the control loop. Returns at once. From any thread, after `start`."""
        run_soon(self.loop, function)

    def call(self, function: Callable[[], T]) -> T:
        """
        Run a function on the control loop and return what it returns, from any thread.

        Raises:
            NotRunning: The thread has not started, or ends.
            LifecycleError: The thread is blocked for longer than `CALL_TIME`. If the function has
                not started by then, it does not run later.
        """
        if self.here:
            return function()
        outcome = self._submit(function)
        if not concurrent.futures.wait({outcome}, 0.9 * CALL_TIME).done:
            if outcome.cancel():
                raise _held_up("did not run")
            if not concurrent.futures.wait({outcome}, 0.1 * CALL_TIME).done:
                raise _held_up("may still run later")
        return outcome.result()

    def _submit(self, function: Callable[[], T]) -> concurrent.futures.Future[T]:
        outcome: concurrent.futures.Future[T] = concurrent.futures.Future()

        def work() -> None:
            if not outcome.set_running_or_notify_cancel():
                return  # the caller no longer waits
            try:
                outcome.set_result(function())
            except BaseException as error:  # noqa: BLE001 - raised in the caller
                outcome.set_exception(error)

        with self._lock:
            self._refuse_closed()
            self._note(outcome)
            self.loop.call_soon_threadsafe(work)
        return outcome

    def wait(self, work: Callable[[], Coroutine[Any, Any, T]], timeout: float | None = None) -> T:
        """
        Run a coroutine on the control loop and block until it returns.

        Args:
            work: The coroutine function.
            timeout: Seconds after which the coroutine is cancelled. None means no limit.

        Raises:
            RuntimeError: The caller is the control thread itself.
            NotRunning: The thread has not started, or ends.
            Late: The coroutine takes longer than `timeout`.
        """
        if self.here:
            raise explained(
                RuntimeError("the control thread cannot wait for itself"),
                see="control-thread-blocked",
            )
        outcome = self._begin(work)
        try:
            if not concurrent.futures.wait({outcome}, timeout).done:
                raise Late
            return outcome.result()
        finally:
            outcome.cancel()  # too late, or a signal interrupted the wait

    async def request(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """
        Run a coroutine on the control loop and await it on any event loop.

        Raises:
            NotRunning: The thread has not started, or ends.
        """
        if self.here:
            return await work()
        return await asyncio.wrap_future(self._begin(work))

    def _begin(self, work: Callable[[], Coroutine[Any, Any, T]]) -> concurrent.futures.Future[T]:
        async def unless_it_ends() -> T:
            try:
                return await work()
            except BaseException as error:
                with self._lock:  # without the lock, `outcome` may not be assigned yet
                    gone = outcome.cancelled()
                if gone:  # the caller no longer waits
                    raise asyncio.CancelledError from None
                if self._open or not isinstance(error, asyncio.CancelledError):
                    raise
                # The thread ends. This must not cancel the caller.
                raise _ended() from None

        with self._lock:
            self._refuse_closed()
            outcome = asyncio.run_coroutine_threadsafe(unless_it_ends(), self.loop)
            self._note(outcome)
        return outcome

    def _note(self, outcome: concurrent.futures.Future[Any]) -> None:
        self._pending.add(outcome)
        outcome.add_done_callback(self._pending.discard)

    def _refuse_closed(self) -> None:
        if not self._open:
            raise _ended()

    def join(self, timeout: float) -> bool:
        """Wait for the end of the thread. False if it has not ended after `timeout` seconds."""
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()


def _held_up(consequence: str) -> LifecycleError:
    return LifecycleError(
        f"the control thread has not answered for {CALL_TIME:g} s, because a registry blocks it. "
        f"Your call {consequence}. In the registry, await slow work, or do it in a thread.",
        see="control-thread-blocked",
    )


def _ended() -> NotRunning:
    return NotRunning("pod-lifecycle has ended", see="not-running")

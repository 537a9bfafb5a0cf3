"""
The control thread: a loop of its own, and the one way of speaking to it.

It owns everything that must work when the app does not. The app's loop is a guest. Nothing
here waits for the app's thread, so that a stuck app can stop nobody.

Rules of this file:

1. The thread is open, then closing, then closed. What was asked while it was open is answered,
   or refused with `NotRunning` once it is closed. Afterwards all is refused. Nothing hangs.
2. Nothing runs in the caller's thread instead, unless that is the control thread.
3. A call waits for a bounded time: an app's loop may stand still meanwhile. What waits without
   a timeout is for threads that hold no loop up.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias, TypeVar

from lifecycle.calls.threads import run_soon, start_thread
from lifecycle.exceptions import LifecycleError, NotRunning

T = TypeVar("T")
Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

CALL_TIME: Final = 5.0
"""Seconds that a call waits for its answer."""
LEAVING: Final = 0.1
"""Seconds that what is left on the control loop has, once cancelled, to end."""


class Late(Exception):
    """Something takes longer than its caller may wait; it is cancelled."""


async def _cancel_all() -> None:
    await asyncio.sleep(0)  # what was submitted begins, and is among the tasks
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    left.add(asyncio.create_task(asyncio.get_running_loop().shutdown_asyncgens()))
    _, stubborn = await asyncio.wait(left, timeout=LEAVING)
    for task in stubborn:
        # What ignores its cancellation is dropped with the loop, and that is said elsewhere.
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - no other way


class ControlThread:
    """
    The control thread and its loop, and the one way of speaking to it.

    It is open from `start` until its main returns, closing while what is left on the loop ends,
    and then closed.
    """

    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._lock = threading.RLock()  # a signal's handler may come between
        self._open = False
        self._pending: set[concurrent.futures.Future[Any]] = set()

    def start(self, main: Work, set_up: Work | None = None) -> None:
        """
        Run `set_up()` on the control loop, and from then on `main()` until it returns.

        Returns once `set_up()` has; what it raises is raised here, and ends the thread.

        Raises:
            LifecycleError: There is no thread to run it in.
        """
        # Not `new_event_loop`: the app's loop policy is the app's own affair.
        self.loop = asyncio.SelectorEventLoop()
        self._open = True
        up: concurrent.futures.Future[None] = concurrent.futures.Future()

        async def live() -> None:
            try:
                if set_up is not None:
                    await set_up()
            except BaseException as error:  # noqa: BLE001 - it belongs to who starts the thread
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
        # Not `asyncio.Runner`, which waits for ever for a task that ignores its cancellation.
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
        """Take note that this is a forked child: there is no such thread in it."""
        self._thread, self._open = None, False
        self._lock = threading.RLock()
        self._pending.clear()

    def _run_to_its_end(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work)
        while not task.done():
            # What a stranger's code raises to leave has stopped the loop, and ends nothing here.
            with contextlib.suppress(SystemExit, KeyboardInterrupt):
                self.loop.run_until_complete(task)
        task.result()

    @property
    def here(self) -> bool:
        """True on the control thread itself."""
        return threading.current_thread() is self._thread

    def post(self, function: Callable[[], object]) -> None:
        """Run a function on the control loop, once started; returns at once, from any thread."""
        run_soon(self.loop, function)

    def call(self, function: Callable[[], T]) -> T:
        """
        Run a function on the control loop and return what it returns, from any thread.

        Raises:
            NotRunning: The thread is not started, or ends.
            LifecycleError: Something there holds the thread up for longer than `CALL_TIME`. What
                has not begun by then is not done later.
        """
        if self.here:
            return function()
        outcome = self._submit(function)
        if not concurrent.futures.wait({outcome}, 0.9 * CALL_TIME).done:
            if outcome.cancel():
                raise _held_up("it was not done")
            if not concurrent.futures.wait({outcome}, 0.1 * CALL_TIME).done:
                raise _held_up("whether it will be done is not known")
        return outcome.result()

    def _submit(self, function: Callable[[], T]) -> concurrent.futures.Future[T]:
        outcome: concurrent.futures.Future[T] = concurrent.futures.Future()

        def work() -> None:
            if not outcome.set_running_or_notify_cancel():
                return  # nobody waits for it any more
            try:
                outcome.set_result(function())
            except BaseException as error:  # noqa: BLE001 - it belongs to the caller
                outcome.set_exception(error)

        with self._lock:
            self._refuse_closed()
            self._note(outcome)
            self.loop.call_soon_threadsafe(work)
        return outcome

    def wait(self, work: Callable[[], Coroutine[Any, Any, T]], timeout: float | None = None) -> T:
        """
        Run a coroutine on the control loop and wait here for what it returns.

        Args:
            work: The coroutine function.
            timeout: Seconds; then it is cancelled.

        Raises:
            RuntimeError: This is the control thread itself.
            NotRunning: The thread is not started, or ends.
            Late: It takes longer.
        """
        if self.here:
            raise RuntimeError("the control thread cannot wait for itself")
        outcome = self._begin(work)
        try:
            if not concurrent.futures.wait({outcome}, timeout).done:
                raise Late
            return outcome.result()
        finally:
            outcome.cancel()  # late, or a signal has come between: nobody waits any more

    async def request(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """
        Run a coroutine on the control loop and await it here, on any loop.

        Raises:
            NotRunning: The thread is not started, or ends.
        """
        if self.here:
            return await work()
        return await asyncio.wrap_future(self._begin(work))

    def _begin(self, work: Callable[[], Coroutine[Any, Any, T]]) -> concurrent.futures.Future[T]:
        async def unless_it_ends() -> T:
            try:
                return await work()
            except BaseException as error:
                with self._lock:  # else it may not be assigned yet
                    gone = outcome.cancelled()
                if gone:  # who asked, and there is nobody to raise it to
                    raise asyncio.CancelledError from None
                if self._open or not isinstance(error, asyncio.CancelledError):
                    raise
                # The thread ends; who asked is not cancelled by that.
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
        """Wait for the thread's end; False if it has not ended in `timeout` seconds."""
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()


def _held_up(consequence: str) -> LifecycleError:
    return LifecycleError(
        f"the control thread has not answered for {CALL_TIME:g} s, and {consequence}: a registry "
        "blocks it; have that await what is slow, or do it in a thread"
    )


def _ended() -> NotRunning:
    return NotRunning("the lifecycle has ended")

"""
Crossing from one thread to another: the control thread, moments, worker threads.

Two threads matter. The control thread has a loop of its own and owns everything that
must work when the app does not. The app's loop is a guest. Nothing here waits for
the app's thread, so that a stuck app can stop nobody.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import copy
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, Generic, TypeVar

from lifecycle.exceptions import LifecycleError, NotRunning

T = TypeVar("T")

LEAVING: Final = 0.1
"""Seconds that what is left on the control loop has, once cancelled, to end."""


class Late(Exception):
    """Something takes longer than its caller may wait; it is cancelled."""


class Moment(Generic[T]):
    """Something that happens once: set from any thread, awaited on any loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._waiters: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}

    @property
    def happened(self) -> bool:
        """True once it was set, or can no longer be; from any thread."""
        return self._outcome.done()

    def set(self, value: T) -> None:
        """Let it happen; every later call does nothing."""
        self._settle(lambda: self._outcome.set_result(value))

    def fail(self, error: Exception) -> None:
        """Say that it can no longer happen: whoever waits gets the error."""
        self._settle(lambda: self._outcome.set_exception(error))

    def _settle(self, decide: Callable[[], None]) -> None:
        with self._lock:
            if self._outcome.done():
                return
            decide()
            waiting: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
            for waiter, loop in self._waiters.items():
                waiting.setdefault(loop, []).append(waiter)
        # Once a loop, and not once for each who waits: ten thousand would hold this thread up.
        for loop, waiters in waiting.items():
            run_soon(loop, partial(_wake, waiters))

    def _result(self) -> T:
        error = self._outcome.exception()
        if error is not None:
            raise _another(error)  # what is raised twice grows, and is kept with its frames
        return self._outcome.result()

    async def wait(self) -> T:
        """Wait for it; cancelling one who waits disturbs no other."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        with self._lock:
            if self._outcome.done():
                return self._result()
            self._waiters[waiter] = loop
        try:
            await waiter
        finally:
            with self._lock:
                del self._waiters[waiter]
        return self._result()


def _wake(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


def _another(error: BaseException) -> BaseException:
    """Copy an error, for one of several to whom it is raised."""
    try:
        again = copy.copy(error)
    except Exception:  # noqa: BLE001 - a class that cannot be copied: then it is the one
        again = error
    if type(again) is not type(error):
        again = error
    again.__cause__ = error.__cause__
    return again.with_traceback(None)


def decided_once() -> Callable[[], bool]:
    """Make what answers True to the first who asks, from any thread, and False to all others."""
    return partial(threading.Lock().acquire, blocking=False)


def run_soon(
    loop: asyncio.AbstractEventLoop,
    function: Callable[[], object],
    context: contextvars.Context | None = None,
) -> bool:
    """Run a function on a loop, from any thread; False if that loop has ended."""
    try:
        loop.call_soon_threadsafe(function, context=context)
    except RuntimeError:
        return False
    return True


def run_in_thread(
    function: Callable[[], Any],
    done: Callable[[Any, BaseException | None], None],
    *,
    name: str,
) -> None:
    """
    Run a function in a daemon thread of its own.

    A daemon, because what hangs in a plugin must never hold up the interpreter's exit.

    Args:
        function: Called in the thread, in a copy of the caller's context.
        done: Called there with the value, or with what was raised.
        name: The thread's name.

    Raises:
        RuntimeError: The system has no thread to give.
    """
    context = contextvars.copy_context()

    def work() -> None:
        try:
            value = context.run(function)
        except BaseException as error:  # noqa: BLE001 - a plugin's SystemExit is a failure too
            done(None, error)
        else:
            done(value, None)

    threading.Thread(target=work, name=name, daemon=True).start()


async def in_thread(function: Callable[[], T], *, name: str) -> T:
    """
    Run a function in a thread of its own, and await what it returns.

    Whoever is cancelled while awaiting does not wait for it: it goes on.

    Raises:
        LifecycleError: The system has no thread to give.
    """
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
    outcome.set_running_or_notify_cancel()  # from here on nobody can cancel it

    def done(value: T, error: BaseException | None) -> None:
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(value)

    try:
        run_in_thread(function, done, name=name)
    except RuntimeError as error:
        raise _no_thread(error) from None
    return await asyncio.wrap_future(outcome)


def start_thread(target: Callable[[], None], name: str) -> threading.Thread:
    """
    Start a thread of our own, without which nothing can be promised.

    Raises:
        LifecycleError: The system has no thread to give.
    """
    thread = threading.Thread(target=target, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise _no_thread(error) from None
    return thread


def _no_thread(error: RuntimeError) -> LifecycleError:
    return LifecycleError(
        f"no thread can be started ({error}): the pod, or its user, has as many processes and "
        "threads as it may have (pids.max, ulimit -u)"
    )


async def _cancel_all() -> None:
    await asyncio.sleep(0)  # what was submitted begins, and is among the tasks
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    left.add(asyncio.create_task(asyncio.get_running_loop().shutdown_asyncgens()))
    _, stubborn = await asyncio.wait(left, timeout=LEAVING)
    for task in stubborn:
        task._log_destroy_pending = False  # type: ignore[attr-defined]


class ControlThread:
    """
    The control thread and its loop, and the one way of speaking to it.

    It is open from `start` until its main returns, then closing, then closed. What was
    submitted while it was open is answered; afterwards everything is refused with `NotRunning`.
    Nothing ever hangs, and nothing runs in the caller's thread instead.
    """

    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._lock = threading.RLock()  # a signal's handler may come between
        self._open = False
        self._pending: set[concurrent.futures.Future[Any]] = set()

    def start(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """
        Run `main()` on the control loop until it returns.

        Raises:
            LifecycleError: There is no thread to run it in.
        """
        # Not `new_event_loop`: the app's loop policy is the app's own affair.
        self.loop = asyncio.SelectorEventLoop()
        self._open = True
        try:
            self._thread = start_thread(lambda: self._run(main), "lifecycle-control")
        except LifecycleError:
            self._open = False
            self.loop.close()
            raise

    def _run(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
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
        """
        return function() if self.here else self._submit(function).result()

    def _submit(self, function: Callable[[], T]) -> concurrent.futures.Future[T]:
        outcome: concurrent.futures.Future[T] = concurrent.futures.Future()

        def work() -> None:
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


def _ended() -> NotRunning:
    return NotRunning("the lifecycle has ended")

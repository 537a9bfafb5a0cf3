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
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

from lifecycle.exceptions import LifecycleError

T = TypeVar("T")

LEAVING: Final = 0.1
"""Seconds that what is left on the control loop has, once cancelled, to end."""


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
            waiters = list(self._waiters.items())
        for waiter, loop in waiters:
            run_soon(loop, lambda waiter=waiter: waiter.done() or waiter.set_result(None))  # type: ignore[misc]

    async def wait(self) -> T:
        """Wait for it; cancelling one who waits disturbs no other."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        with self._lock:
            if self._outcome.done():
                return self._outcome.result()
            self._waiters[waiter] = loop
        try:
            await waiter
        finally:
            with self._lock:
                del self._waiters[waiter]
        return self._outcome.result()


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
        raise LifecycleError(
            f"no thread can be started ({error}): the pod, or its user, has as many processes and "
            "threads as it may have (pids.max, ulimit -u)"
        ) from None
    return thread


async def _cancel_all() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    left.add(asyncio.create_task(asyncio.get_running_loop().shutdown_asyncgens()))
    _, stubborn = await asyncio.wait(left, timeout=LEAVING)
    for task in stubborn:
        task._log_destroy_pending = False  # type: ignore[attr-defined]


class ControlThread:
    """The control thread and its loop."""

    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def start(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """
        Run `main()` on the control loop until it returns.

        Raises:
            LifecycleError: There is no thread to run it in.
        """
        # Not `new_event_loop`: the app's loop policy is the app's own affair.
        self.loop = asyncio.SelectorEventLoop()
        try:
            self._thread = start_thread(lambda: self._run(main), "lifecycle-control")
        except LifecycleError:
            self.loop.close()
            raise

    def _run(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        # Not `asyncio.Runner`, which waits for ever for a task that ignores its cancellation.
        try:
            self._run_to_its_end(main())
        finally:
            self._run_to_its_end(_cancel_all())
            self.loop.close()

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
        """Run a function on the control loop and return what it returns, from any thread."""
        if self.here or not self._alive():
            return function()
        outcome: concurrent.futures.Future[T] = concurrent.futures.Future()

        def work() -> None:
            try:
                outcome.set_result(function())
            except BaseException as error:  # noqa: BLE001 - it belongs to the caller
                outcome.set_exception(error)

        if not run_soon(self.loop, work) or not self._outlives(outcome):
            return function()
        return outcome.result()

    def wait(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """
        Run a coroutine on the control loop and wait here for what it returns.

        Raises:
            RuntimeError: This is the control thread itself, or it has ended.
        """
        if self.here:
            raise RuntimeError("the control thread cannot wait for itself")
        if self._alive():
            outcome = asyncio.run_coroutine_threadsafe(work(), self.loop)
            if self._outlives(outcome):
                return outcome.result()
        raise RuntimeError("the lifecycle has ended")

    def _outlives(self, outcome: concurrent.futures.Future[T]) -> bool:
        """Wait for an outcome; False if the thread has ended without one."""
        while not outcome.done():
            concurrent.futures.wait({outcome}, timeout=1)
            if not self._alive():
                return outcome.done()
        return True

    async def request(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine on the control loop and await it here, on any loop."""
        if self.here:
            return await work()
        if not self._alive():
            raise RuntimeError("the lifecycle has ended")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), self.loop))

    def join(self, timeout: float) -> bool:
        """Wait for the thread's end; False if it has not ended in `timeout` seconds."""
        if self._thread is not None:
            self._thread.join(timeout)
        return not self._alive()

    def _alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

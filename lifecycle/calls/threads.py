"""Helpers for threads: running work in a new thread, and calls from one thread to another."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from lifecycle.exceptions import LifecycleError

T = TypeVar("T")


def on_a_loop() -> bool:
    """Return True if an event loop runs in this thread, so that waiting would block it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def decided_once() -> Callable[[], bool]:
    """Make a function that returns True to its first caller, from any thread, and then False."""
    return partial(threading.Lock().acquire, blocking=False)


def run_soon(
    loop: asyncio.AbstractEventLoop,
    function: Callable[[], object],
    context: contextvars.Context | None = None,
) -> bool:
    """Run a function on a loop, from any thread. False if the loop has ended."""
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
    Run a function in a new daemon thread.

    A daemon thread that hangs in a plugin cannot delay the exit of the interpreter.

    Args:
        function: Called in the thread, in a copy of the caller's context.
        done: Called in the thread with the value or the error.
        name: The name of the thread.

    Raises:
        RuntimeError: The system cannot start a thread.
    """
    context = contextvars.copy_context()

    def work() -> None:
        try:
            value = context.run(function)
        except BaseException as error:  # noqa: BLE001 - SystemExit of a plugin is a failure too
            done(None, error)
        else:
            done(value, None)

    threading.Thread(target=work, name=name, daemon=True).start()


async def in_thread(function: Callable[[], T], *, name: str) -> T:
    """
    Run a function in a new thread, and await its result.

    If the caller is cancelled, the function continues.

    Raises:
        LifecycleError: The system cannot start a thread.
    """
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
    outcome.set_running_or_notify_cancel()  # from here on it cannot be cancelled

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
    Start a daemon thread that pod-lifecycle needs.

    Raises:
        LifecycleError: The system cannot start a thread.
    """
    thread = threading.Thread(target=target, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise _no_thread(error) from None
    return thread


def _no_thread(error: RuntimeError) -> LifecycleError:
    return LifecycleError(
        f"cannot start a thread ({error}). The pod or its user has reached its limit of processes "
        "and threads (pids.max, ulimit -u). Raise this limit.",
        see="no-thread",
    )

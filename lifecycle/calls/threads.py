"""Threads: what runs in one of its own, and what is handed from one to another."""

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
    """Tell whether an event loop runs in this thread: it would stand still while we wait."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


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

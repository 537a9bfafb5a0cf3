"""A one-time event with a value: set from any thread, awaited on any event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import copy
import threading
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from lifecycle.calls.threads import run_soon

T = TypeVar("T")


class Moment(Generic[T]):
    """A one-time event with a value: set from any thread, awaited on any event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._waiters: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}

    @property
    def happened(self) -> bool:
        """True after `set` or `fail`. May be read from any thread."""
        return self._outcome.done()

    def set(self, value: T) -> None:
        """Set the value. Later calls do nothing."""
        self._settle(lambda: self._outcome.set_result(value))

    def fail(self, error: Exception) -> None:
        """Report that the event can no longer happen. All waiters get the error."""
        self._settle(lambda: self._outcome.set_exception(error))

    def _settle(self, decide: Callable[[], None]) -> None:
        with self._lock:
            if self._outcome.done():
                return
            decide()
            waiting: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
            for waiter, loop in self._waiters.items():
                waiting.setdefault(loop, []).append(waiter)
        # One call per loop, because ten thousand calls, one per waiter, would block this thread.
        for loop, waiters in waiting.items():
            run_soon(loop, partial(_wake, waiters))

    def _result(self) -> T:
        error = self._outcome.exception()
        if error is not None:
            raise _another(error)  # an error raised twice grows, and keeps its frames
        return self._outcome.result()

    async def wait(self) -> T:
        """Wait for the event. Cancelling one waiter does not affect the others."""
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
    """Copy an error, because it is raised to several waiters."""
    try:
        again = copy.copy(error)
    except Exception:  # noqa: BLE001 - a class that cannot be copied
        again = error
    if type(again) is not type(error):
        again = error
    again.__cause__ = error.__cause__
    return again.with_traceback(None)

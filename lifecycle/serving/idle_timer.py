"""
The timer of idle connections. It starts a task only when the time is over.

A task costs a tenth of a small request, and the next request ends nearly every idle time early.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from lifecycle.serving.closing import Closing
from lifecycle.serving.connection_table import ConnectionEntry

Action = Callable[[], Coroutine[Any, Any, None]]


class IdleTimer:
    """
    The idle time of one connection, from `restart` to `stop`.

    The time of a connection without a request starts when it is accepted. While `closing` is set,
    the idle time is 0, except for new connections: see `ConnectionEntry.idle_from`.

    Args:
        limit: The idle time, in seconds.
        entry: The entry of the connection in the server's table.
        closing: Set while it must close as soon as it is idle. After setting it, call `hurry`.
    """

    def __init__(self, limit: float, entry: ConnectionEntry, closing: Closing) -> None:
        self._limit = limit
        self._entry = entry
        self._closing = closing
        self._loop = asyncio.get_running_loop()
        self._tasks: asyncio.TaskGroup | None = None
        self._armed: tuple[asyncio.TimerHandle, float, Action] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """True from `restart` to `stop`."""
        return self._armed is not None or self._task is not None

    def open(self, tasks: asyncio.TaskGroup) -> None:
        """Run the actions in a task group, until `close`."""
        self._tasks = tasks

    def close(self) -> None:
        """Start no more actions."""
        self._tasks = None
        self._cancel()

    async def restart(self, expired: Action) -> None:
        """Start the time again. `expired` is called when it is over."""
        await self.stop()
        began = self._entry.since if self._entry.rules.young else self._loop.time()
        self._arm(began + self._limit, expired)

    async def replace(self, action: Action) -> None:
        """Run another action now, until `stop`."""
        await self.stop()
        self._run(action)

    async def stop(self) -> None:
        """Stop the timer, and the running action."""
        self._cancel()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            self._cancel()  # an action that another task has started meanwhile

    def hurry(self) -> None:
        """Check `closing` again."""
        if self._armed is not None:
            _, until, expired = self._armed
            self._cancel()
            self._arm(until, expired)

    def _arm(self, until: float, expired: Action) -> None:
        at = min(until, self._entry.idle_from) if self._closing.is_set() else until
        if self._tasks is not None:
            self._armed = self._loop.call_at(at, self._over, until, expired), until, expired

    def _over(self, until: float, expired: Action) -> None:
        self._armed = None
        if self._loop.time() < until and not self._closing.is_set():
            self._arm(until, expired)  # the server does not close idle connections any more
        else:
            self._run(expired)

    def _run(self, action: Action) -> None:
        if self._tasks is not None:
            self._task = self._tasks.create_task(action())

    def _cancel(self) -> None:
        if self._armed is not None:
            self._armed[0].cancel()
            self._armed = None

"""
The one connection of all services, which sends commands together and connects again.

Rules of this file:

1. One task connects and sends. So there is one try to connect at a time, for any number of services.
2. Commands that come at the same time are sent in one pipeline.
3. If the connection fails, all commands that wait fail, and pod-lifecycle tries again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from lifecycle_redis.backoff import Backoff
from lifecycle_redis.errors import RedisFailed
from lifecycle_redis.layout import Command
from lifecycle_redis.text import one_line

MOST: Final = 500
"""Commands in one pipeline at most, so that the server answers well within a second."""


class Connection(Protocol):
    """An open connection, as `session.Session`."""

    async def ask(self, commands: list[Command]) -> list[object]:
        """Send commands in one pipeline, and return the answers."""

    async def close(self) -> None:
        """Close the connection."""


class Link:
    """
    The connection.

    Args:
        connect: Opens a connection. Raises `RedisFailed`.
        on_change: Called with the failure when the connection is lost or the reason changes, and
            with None when it is open again.

    Attributes:
        error: The failure, while there is no connection. None while there is one, and before the
            first try has ended.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        on_change: Callable[[RedisFailed | None], None],
    ) -> None:
        self._connect = connect
        self._on_change = on_change
        self._waiting: list[tuple[Command, asyncio.Future[object]]] = []
        self._work = asyncio.Event()
        self._open = asyncio.Event()
        self._told = ""
        self.error: RedisFailed | None = None

    async def ask(self, command: Command) -> object:
        """
        Send a command with the next pipeline, and return the answer.

        Raises:
            RedisFailed: There is no connection, or the server has refused the command.
        """
        if self.error is not None:
            raise self.error.again()
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, answer))
        self._work.set()
        return await answer

    async def until_open(self, seconds: float) -> None:
        """
        Wait until there is a connection.

        Raises:
            RedisFailed: There is none after so many seconds.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._open.wait()
        except TimeoutError:
            if self.error is not None:
                raise self.error.again() from None
            raise

    async def run(self) -> None:
        """Connect and send, until cancelled."""
        backoff = Backoff()
        while True:
            try:
                connection = await self._connect()
            except Exception as error:  # noqa: BLE001 - a bug of a client library must not end the task
                self._fail(_known(error))
                await backoff.pause()
                continue
            try:
                self._succeed()
                await self._send_all(connection, backoff)
            except Exception as error:  # noqa: BLE001 - as above
                self._fail(_known(error))
                await backoff.pause()
            finally:
                await connection.close()

    async def _send_all(self, connection: Connection, backoff: Backoff) -> None:
        while True:
            await self._work.wait()
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            if not self._waiting:
                self._work.clear()
            # A command whose sender has gone is left out.
            batch = [(command, answer) for command, answer in batch if not answer.done()]
            if not batch:
                continue
            try:
                answers = await connection.ask([command for command, _ in batch])
            except BaseException:
                self._waiting = batch + self._waiting
                raise
            backoff.reset()
            for (_, answer), told in zip(batch, answers, strict=True):
                _settle(answer, told)

    def _succeed(self) -> None:
        self.error = None
        self._open.set()
        if self._told:
            self._told = ""
            self._on_change(None)

    def _fail(self, error: RedisFailed) -> None:
        self.error = error
        self._open.clear()
        self._work.clear()
        waiting, self._waiting = self._waiting, []
        for _, answer in waiting:
            _settle(answer, error.again())
        if error.state != self._told:
            self._told = error.state
            self._on_change(error)


def _known(error: Exception) -> RedisFailed:
    if isinstance(error, RedisFailed):
        return error
    return RedisFailed("broken", f"{type(error).__name__}: {one_line(str(error))}")


def _settle(answer: asyncio.Future[object], told: object) -> None:
    if answer.done():
        return
    if isinstance(told, Exception):
        answer.set_exception(told)
    else:
        answer.set_result(told)

"""
A connection that is closed over what its client still sends.

A socket that is closed over unread bytes is reset, and what the client has not read yet is lost
to it: what comes is read and thrown away first, for a while, as in nginx.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

LINGER: Final = 5.0
"""Seconds that a client which goes on sending has to read why its connection ends."""
SILENCE: Final = 1.0
"""And for how long of them it may send nothing."""
LINGER_LAST: Final = 0.5
"""And once the connections are to close."""
LINGER_BYTES: Final = 64 * 1024 * 1024
"""And what it may send meanwhile."""


class LingeringClose:
    """
    The last seconds of one connection.

    Args:
        limit: Seconds that a connection may be idle: it lingers no longer.
        closing: Set once connections should close.
        gone: Set once the client has said all.
        close: Closes the connection.
        abort: Closes it at once.
    """

    def __init__(
        self,
        limit: float,
        closing: asyncio.Event,
        gone: asyncio.Event,
        close: Callable[[], object],
        abort: Callable[[], object],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + min(LINGER, limit)
        self._closing = closing
        self._gone = gone
        self._close = close
        self._abort = abort
        self._size = 0
        self._silence: asyncio.Timeout | None = None

    async def run(self) -> None:
        """Wait until the client has said all, or has had its time; then close."""
        try:
            async with asyncio.timeout(SILENCE) as self._silence:
                await self._closing.wait()
        except TimeoutError:
            pass
        finally:
            self._silence = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_LAST if self._closing.is_set() else 0):
                await self._gone.wait()
        self._close()  # what it is still taking is still sent, as anywhere else

    def throw_away(self, size: int) -> None:
        """Note how many bytes have come."""
        self._size += size
        if self._size > LINGER_BYTES:
            self._abort()
        if self._silence is not None and not self._silence.expired():
            self._silence.reschedule(min(self._until, self._loop.time() + SILENCE))

"""
Closing a connection whose client still sends.

If a socket with unread bytes is closed, the kernel resets the connection, and the client loses
what it has not read yet. Arriving bytes are therefore read and thrown away for a while, as in
nginx.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from lifecycle.serving.closing import Closing

LINGER: Final = 5.0
"""Seconds for a client that continues to send to read why its connection ends."""
SILENCE: Final = 1.0
"""Seconds of these in which it may send nothing."""
LINGER_LAST: Final = 0.5
"""The same limit once all connections must close."""
LINGER_BYTES: Final = 64 * 1024 * 1024
"""Bytes that it may send meanwhile."""


class LingeringClose:
    """
    The last seconds of one connection.

    Args:
        limit: Seconds that a connection may be idle. It never lingers longer.
        closing: Set once all connections must close.
        gone: Set once the client has sent everything.
        close: Closes the connection.
        abort: Closes the connection at once.
    """

    def __init__(
        self,
        limit: float,
        closing: Closing,
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
        """Wait until the client has sent everything, or its time is over. Then close."""
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
        self._close()  # bytes that the client still reads are still sent

    def throw_away(self, size: int) -> None:
        """Note how many bytes have arrived."""
        self._size += size
        if self._size > LINGER_BYTES:
            self._abort()
        if self._silence is not None and not self._silence.expired():
            self._silence.reschedule(min(self._until, self._loop.time() + SILENCE))

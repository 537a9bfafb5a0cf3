"""
Bodies that still arrive for answered HTTP/2 requests. They are thrown away, as over HTTP/1.1.

Two other ways are not possible. If a stream is reset right after its response, some clients lose
the response (curl 7.88). If it gets no more credit, other clients wait forever, because they send
everything before they read (httpx).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

LONGEST: Final = 5.0
"""Seconds that a client may continue to send a body that is not read."""
SILENCE: Final = 1.0
"""Seconds of these in which it may send nothing."""
MOST: Final = 64 * 1024 * 1024
"""Bytes that it may send, for each request."""


class _Left:
    """The rest of one request."""

    __slots__ = ("last", "size", "timer", "until")

    def __init__(self, now: float) -> None:
        self.size = 0
        self.last = now
        self.until = now + LONGEST
        self.timer: asyncio.TimerHandle | None = None

    @property
    def due(self) -> float:
        """When the client's time is over, if nothing more arrives."""
        return min(self.until, self.last + SILENCE)


class UnreadBodies:
    """
    The answered requests of one connection whose client has not ended the body.

    Args:
        stop: Called with the number of a stream whose time is over.
    """

    def __init__(self, stop: Callable[[int], None]) -> None:
        self._stop = stop
        self._loop = asyncio.get_running_loop()
        self._left: dict[int, _Left] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._left)

    def expect(self, number: int) -> None:
        """Start to throw away what arrives, unless the connection has ended meanwhile."""
        if self._closed:
            return
        left = self._left[number] = _Left(self._loop.time())
        left.timer = self._loop.call_at(left.due, self._look, number)

    def came(self, number: int, size: int) -> None:
        """Note the bytes that were thrown away."""
        if left := self._left.get(number):
            left.size += size
            left.last = self._loop.time()
            if left.size > MOST:
                self.ended(number)
                self._stop(number)

    def ended(self, number: int) -> None:
        """Forget a stream, because nothing more arrives."""
        left = self._left.pop(number, None)
        if left is not None and left.timer is not None:
            left.timer.cancel()

    def close(self) -> None:
        """Forget all streams, because the connection has ended."""
        self._closed = True
        for number in [*self._left]:
            self.ended(number)

    def _look(self, number: int) -> None:
        left = self._left[number]
        if self._loop.time() < left.due:
            left.timer = self._loop.call_at(left.due, self._look, number)
        else:
            self.ended(number)
            self._stop(number)

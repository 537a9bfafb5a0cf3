"""
What still comes to HTTP/2 requests that have been answered: thrown away, as over HTTP/1.1.

A stream that is reset right behind its answer's end costs some clients the answer (curl 7.88),
and one that gets no more credit holds others up for ever (httpx sends all before it reads).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

LONGEST: Final = 5.0
"""Seconds that a client may go on sending what nobody reads."""
SILENCE: Final = 1.0
"""And for how long of them it may send nothing."""
MOST: Final = 64 * 1024 * 1024
"""And the bytes of it, for each request."""


class _Left:
    """What is left of one request."""

    __slots__ = ("last", "size", "timer", "until")

    def __init__(self, now: float) -> None:
        self.size = 0
        self.last = now
        self.until = now + LONGEST
        self.timer: asyncio.TimerHandle | None = None

    @property
    def due(self) -> float:
        """When its client has had its time, if nothing more comes."""
        return min(self.until, self.last + SILENCE)


class UnreadBodies:
    """
    The requests of one connection that are answered, and that their client has not ended.

    Args:
        stop: Called with the number of a stream whose client has had its time.
    """

    def __init__(self, stop: Callable[[int], None]) -> None:
        self._stop = stop
        self._loop = asyncio.get_running_loop()
        self._left: dict[int, _Left] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._left)

    def expect(self, number: int) -> None:
        """Begin to throw away what comes, unless the connection has ended meanwhile."""
        if self._closed:
            return
        left = self._left[number] = _Left(self._loop.time())
        left.timer = self._loop.call_at(left.due, self._look, number)

    def came(self, number: int, size: int) -> None:
        """Note what has been thrown away."""
        if left := self._left.get(number):
            left.size += size
            left.last = self._loop.time()
            if left.size > MOST:
                self.ended(number)
                self._stop(number)

    def ended(self, number: int) -> None:
        """Forget a stream: nothing more comes."""
        left = self._left.pop(number, None)
        if left is not None and left.timer is not None:
            left.timer.cancel()

    def close(self) -> None:
        """Forget all: the connection has ended."""
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

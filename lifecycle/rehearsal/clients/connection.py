"""Base of a client's connections, for all protocols."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Final, NamedTuple, Self

from lifecycle.rehearsal.clients.wire import Wire
from lifecycle.rehearsal.measuring.losses import Cause, End, Lost, unanswered
from lifecycle.rehearsal.plan import Traffic

AGENT: Final = "lifecycle-rehearse/1"
TYPE: Final = "application/octet-stream"
BODILESS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "DELETE"})
"""Methods without a Content-Length header if the request has no body."""
PIECE: Final = 65536
"""Bytes of a body that are sent at once."""
STEP: Final = 0.05
"""Seconds between two pieces of a body that is sent slowly."""


class Request(NamedTuple):
    """
    A request.

    Attributes:
        path: The path.
        method: The HTTP method.
        size: Bytes of the body, or 0 for no body.
        seconds: Seconds in which the client sends the body.
    """

    path: str
    method: str = "GET"
    size: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, traffic: Traffic, path: str) -> Self:
        """Return the request for a path, with the options of the traffic."""
        return cls(path, traffic.verb, traffic.body_size, traffic.body_seconds)

    async def pieces(self) -> AsyncIterator[int]:
        """Yield the bytes of each piece of the body, at the time when the piece must be sent."""
        began = time.monotonic()
        count = max(math.ceil(self.size / PIECE), min(self.size, int(self.seconds / STEP)))
        for number in range(count):
            due = began + self.seconds * (number + 1) / count
            # Also when it is due: an answer that has come meanwhile is to be seen.
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            yield self.size * (number + 1) // count - self.size * number // count


class Connection(ABC):
    """
    A connection, with one request at a time.

    Attributes:
        wire: The TCP connection.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._used = False
        self._size = 0
        self._before = 0
        self._sent = 0.0

    @property
    @abstractmethod
    def reusable(self) -> bool:
        """False if the server has announced that it accepts no further request."""

    @property
    def over(self) -> bool:
        """True if no further request may be sent, because a close happened or was announced."""
        return not self.reusable or self.wire.over

    @abstractmethod
    async def ask(self, request: Request) -> int:
        """
        Send one request, and read the whole response.

        A final response that arrives before the whole body was sent counts too.

        Returns:
            The status.

        Raises:
            Lost: There is no whole response, or the status is 500 or above.
            Declined: The server has not processed the request.
            GoneAway: The server has ended the session properly.
        """

    def close(self) -> None:
        """Close the connection."""
        self.wire.close()

    def _begin(self, size: int) -> None:
        """Note the state of the wire before a request of the given size."""
        self._size, self._before, self._sent = size, self.wire.written, time.monotonic()

    def _unanswered(self, *, begun: bool) -> Lost:
        wire, arrived = self.wire, self.wire.arrived
        if wire.ended_at is not None and wire.ended_at <= self._sent:
            arrived = (
                self._before
            )  # a server that has announced the end does not wait for a request
        return unanswered(
            End(
                how=wire.ended,
                reset=wire.reset,
                kept=self._used,
                heard=bool(wire.heard),
                begun=begun,
                seconds=time.monotonic() - self._sent,
                size=self._size,
                arrived=None if arrived is None else max(0, arrived - self._before),
            )
        )

    @property
    def broken(self) -> Lost | None:
        """The loss if the connection broke without a request on it, or None if nothing was lost."""
        return None


@contextlib.asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run a coroutine until the block ends, and then cancel it."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.result()


def checked(status: int) -> int:
    """Return a status below 500. Raise `Lost` for any other status."""
    if status >= 500:
        raise Lost(Cause.ERROR, f"answered with {status}")
    return status

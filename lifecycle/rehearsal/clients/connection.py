"""What a client's connections have in common, whatever is spoken on them."""

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
"""Methods of which a request without a body does not speak of one."""
PIECE: Final = 65536
"""Bytes of a body that are sent at once."""
STEP: Final = 0.05
"""Seconds between two pieces of a body that takes its time."""


class Request(NamedTuple):
    """
    What is asked for.

    Attributes:
        path: Where.
        method: How.
        size: Bytes of its body; 0: it has none.
        seconds: How long a client takes to send the body.
    """

    path: str
    method: str = "GET"
    size: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, traffic: Traffic, path: str) -> Self:
        """Return the request for a path that traffic is made of."""
        return cls(path, traffic.verb, traffic.body_size, traffic.body_seconds)

    async def pieces(self) -> AsyncIterator[int]:
        """Give the bytes of each piece of the body, when it is due."""
        began = time.monotonic()
        count = max(math.ceil(self.size / PIECE), min(self.size, int(self.seconds / STEP)))
        for number in range(count):
            due = began + self.seconds * (number + 1) / count
            # Also when it is due: an answer that has come meanwhile is to be seen.
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            yield self.size * (number + 1) // count - self.size * number // count


class Connection(ABC):
    """
    One connection, and one request at a time on it.

    Attributes:
        wire: Its bytes.
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
        """False if the other side has said that no further request may be sent."""

    @property
    def over(self) -> bool:
        """True if no further request may be sent: the other side has ended it, or said so."""
        return not self.reusable or self.wire.over

    @abstractmethod
    async def ask(self, request: Request) -> int:
        """
        Send one request and read its whole answer.

        A final answer that comes before the whole body has been sent is one too.

        Returns:
            Its status.

        Raises:
            Lost: There is none, or it is 500 or above.
            Declined: The server has not touched it.
            GoneAway: The server has ended the session in good order.
        """

    def close(self) -> None:
        """Close it."""
        self.wire.close()

    def _begin(self, size: int) -> None:
        """Note what the wire is like before a request of so many bytes."""
        self._size, self._before, self._sent = size, self.wire.written, time.monotonic()

    def _unanswered(self, *, begun: bool) -> Lost:
        wire, arrived = self.wire, self.wire.arrived
        if wire.ended_at is not None and wire.ended_at <= self._sent:
            arrived = self._before  # who has said that it is over does not wait for a request
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
        """What was lost with the connection, though no request was on it."""
        return None


@contextlib.asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do something until the block is left; then it is broken off."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.result()


def checked(status: int) -> int:
    """Return a status that is none of an error of the server's."""
    if status >= 500:
        raise Lost(Cause.ERROR, f"answered with {status}")
    return status

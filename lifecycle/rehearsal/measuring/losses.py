"""
The rules for what counts as lost. Pure.

Rules of this file:

1. A request is lost if it was written and got no whole answer below 500. It is also lost if it
   could not be written because the server did not accept the connection. Clients do not retry.
2. If a client sees the end of an idle connection before it writes, nothing is lost. Every client
   library looks before it writes.
3. A server can decline a request before it does anything, so that the protocol lets every client
   repeat it (HTTP/2: REFUSED_STREAM, a stream above GOAWAY's last). The request is repeated, and
   only the repetition counts.
4. A new connection is lost if the server closes it before the first request has arrived. When the
   client wrote, its view of the connection was one round trip old.
   If a RST arrives without any byte of an answer, and the listener closed at that moment, the
   connection was in the listener's queue and its request was not read. Otherwise a process had
   the connection. A FIN always comes from a process. See the measurements in `wire.py`.
5. A WebSocket is lost if it ends without a close frame (1006), idle or not, or with a close code
   that means an error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Self

IN_FLIGHT: Final = 0.2
"""
Seconds after which a request without an answer counts as being processed, if nothing else shows
it. (If the server has closed the connection before, this shows at once.)
"""
UNREAD: Final = 262_144
"""Bytes that a connection cannot accept unless a process reads it: Linux accepts 128,000."""
WELL_CLOSED: Final = frozenset({1000, 1001, 1005, 1012, 1013})
"""WebSocket close codes with which a server ends a connection properly."""


class Cause(StrEnum):
    """How a request was lost."""

    REFUSED = "refused"
    NO_ENDPOINT = "no endpoint"
    QUEUE = "reset in the queue"
    RESET = "reset"
    UNASKED = "closed unasked"
    CUT = "cut"
    UPLOAD = "upload cut"
    STREAM_RESET = "stream reset"
    ABNORMAL = "1006"
    ERROR = "5xx"
    TIMEOUT = "timeout"
    MALFORMED = "malformed"


class Lost(Exception):
    """
    A request got no whole answer.

    Args:
        cause: How it was lost.
        detail: The client's observation, in words.
        otherwise: The cause if its connection did not wait in the listener's queue.
    """

    def __init__(self, cause: Cause, detail: str, otherwise: Cause = Cause.CUT) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail
        self.otherwise = otherwise


class Declined(Exception):
    """The server has not processed the request, so any client may send it again."""


class GoneAway(Exception):
    """The server closed a WebSocket properly. Nothing is lost."""


@dataclass(frozen=True, slots=True)
class End:
    """
    How a connection ended with a request on it.

    Attributes:
        how: In words.
        reset: Whether it ended by RST without a FIN before it.
        kept: Whether it had answered a request before.
        heard: Whether any byte has arrived on it.
        begun: Whether a part of this answer has arrived.
        seconds: Seconds since the request was started.
        size: Bytes of the request.
        arrived: How many of these bytes the server's kernel has acknowledged, or None if our kernel
            does not report it.
    """

    how: str
    reset: bool
    kept: bool
    heard: bool
    begun: bool
    seconds: float
    size: int
    arrived: int | None

    @property
    def read(self) -> bool:
        """Whether a process had read a part of the request."""
        late = self.seconds >= IN_FLIGHT
        if self.reset:
            # The wait in the queue may be long, so without a byte the time proves nothing.
            return (self.arrived or 0) > UNREAD or (late and self.heard)
        return late if self.arrived is None else self.arrived > 0


def unanswered(end: End) -> Lost:
    """Classify the end of a connection with a request on it."""
    after = f"{end.how} {end.seconds * 1000:.0f} ms after the request was sent"
    if end.begun:
        return Lost(Cause.CUT, f"{end.how} in the middle of the answer")
    if end.read:
        if end.arrived is None or end.arrived >= end.size:
            return Lost(Cause.CUT, after)
        sent = f"{end.arrived:,} of {end.size:,} bytes of the request had been sent"
        return Lost(Cause.UPLOAD, f"{end.how} when {sent}")
    if end.kept:
        return Lost(Cause.RESET, after)
    if end.reset and not end.heard:
        return Lost(Cause.QUEUE, f"{end.how} before a byte of an answer", _had(end))
    return Lost(Cause.UNASKED, f"{end.how} before the first request was read")


def _had(end: End) -> Cause:
    """Return the cause for the case that a process had the connection."""
    if end.arrived == 0:
        return Cause.UNASKED
    return Cause.CUT if end.arrived is None or end.arrived >= end.size else Cause.UPLOAD


@dataclass(frozen=True, slots=True)
class Loss:
    """
    A lost request.

    Attributes:
        at: When it was lost, on the monotonic clock.
        sent: When it was started.
        kept: Whether its connection had been used before.
        protocol: The protocol.
        cause: How it was lost.
        detail: The client's observation, in words.
        path: The requested path.
        pod: The name of the pod, or "" if the client knew of none.
        otherwise: The cause if its connection did not wait in the listener's queue.
    """

    at: float
    sent: float
    kept: bool
    protocol: str
    cause: Cause
    detail: str
    path: str
    pod: str
    otherwise: Cause = Cause.CUT

    def outside_of_the_queue(self) -> Self:
        """Return the loss for the case that a process had the connection."""
        return replace(self, cause=self.otherwise)

    def to_json(self) -> list[Any]:
        """Return the value that `from_json` takes."""
        return [getattr(self, name) for name in self.__slots__]

    @classmethod
    def from_json(cls, values: list[Any]) -> Self:
        """Make a loss from the value of `to_json`."""
        fields = dict(zip(cls.__slots__, values, strict=True))
        return cls(**fields | {each: Cause(fields[each]) for each in ("cause", "otherwise")})

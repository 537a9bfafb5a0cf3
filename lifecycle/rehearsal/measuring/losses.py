"""
What counts as lost, and what does not. Pure.

Rules of this file:

1. A request that was written and got no whole answer below 500 is lost; so is one that
   could not be written because nobody took the connection. Nobody retries.
2. Who sees the end of an idle connection before writing has lost nothing: every client
   library looks before it writes.
3. A request that the server has declined before it did anything, in a way that the protocol
   lets every client repeat (HTTP/2: REFUSED_STREAM, a stream above GOAWAY's last), is
   repeated, and the repetition counts.
4. A new connection that the server closes before the first request has arrived is lost: what
   the client has seen of it when it writes is as old as the network's round trip.
   A RST without a byte on it is the listener's queue, if the listener closed at that moment:
   nobody had read the request. Otherwise a process had the connection. A FIN always comes from
   a process. `wire.py` has what was measured.
5. A WebSocket is lost when it ends without a close frame (1006), idle or not, or with one
   that speaks of an error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Self

IN_FLIGHT: Final = 0.2
"""Seconds after which a request without any answer was being worked on, where nothing else tells:
a connection that is closed already tells at once."""
UNREAD: Final = 262_144
"""Bytes, of which a connection that nobody reads takes fewer: Linux takes 128,000."""
WELL_CLOSED: Final = frozenset({1000, 1001, 1005, 1012, 1013})
"""WebSocket close codes with which a server that goes away says so."""


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
        cause: How.
        detail: What was seen.
        otherwise: How, if its connection did not wait in the listener's queue.
    """

    def __init__(self, cause: Cause, detail: str, otherwise: Cause = Cause.CUT) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail
        self.otherwise = otherwise


class Declined(Exception):
    """The server has not touched the request: any client may send it again."""


class GoneAway(Exception):
    """A WebSocket was closed by a server that said so: nothing is lost."""


@dataclass(frozen=True, slots=True)
class End:
    """
    How a connection ended with a request on it.

    Attributes:
        how: In words.
        reset: By RST, with no FIN before it.
        kept: Whether a request had been answered on it before.
        heard: Whether any byte has come on it, ever.
        begun: Whether some of this answer has come.
        seconds: How long ago the request was begun.
        size: Bytes of the request.
        arrived: How many of these the other side's kernel has taken, read or not; None where
            the kernel does not say.
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
        """Whether somebody had read some of the request."""
        late = self.seconds >= IN_FLIGHT
        if self.reset:
            # A place in the queue may be a long one: without a byte no time tells.
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
    """Tell how a request was lost if a process had its connection."""
    if end.arrived == 0:
        return Cause.UNASKED
    return Cause.CUT if end.arrived is None or end.arrived >= end.size else Cause.UPLOAD


@dataclass(frozen=True, slots=True)
class Loss:
    """
    One lost request.

    Attributes:
        at: When, on the monotonic clock.
        sent: When it was begun.
        kept: Whether its connection had been used before.
        protocol: What was spoken.
        cause: How it was lost.
        detail: What was seen.
        path: What was asked for.
        pod: Whom; empty if there was nobody.
        otherwise: How it was lost, if its connection did not wait in the listener's queue.
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
        """Return what it was if a process had its connection."""
        return replace(self, cause=self.otherwise)

    def to_json(self) -> list[Any]:
        """Return what `from_json` takes."""
        return [getattr(self, name) for name in self.__slots__]

    @classmethod
    def from_json(cls, values: list[Any]) -> Self:
        """Make it of what `to_json` gave."""
        fields = dict(zip(cls.__slots__, values, strict=True))
        return cls(**fields | {each: Cause(fields[each]) for each in ("cause", "otherwise")})

"""
Limits of HTTP/2: control frames, requests taken back, and data for what has been reset.

A frame of nine bytes costs its sender nothing, and us some thirty microseconds: so frames are
counted in the bytes as they come, before anybody takes them apart. docs/security.md has the
rates and what others take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

PREFACE: Final = 24
"""Bytes with which a client begins: RFC 9113, section 3.4."""
HEAD: Final = 9
"""Bytes of a frame's header."""
DATA, HEADERS, RST_STREAM = 0, 1, 3
END_STREAM: Final = 1
PADDED: Final = 8
"""The flag of a frame some of whose bytes say nothing."""
TINY: Final = 5
"""Bytes of padded data below which a frame is counted, as one without any data is."""

FRAMES: Final = 1000
"""Control frames at once."""
FRAMES_A_SECOND: Final = 100.0
FRAMES_EARNED: Final = 10
"""Control frames more for every request, and for every frame of data that we send."""
FRAMES_SAVED: Final = 10_000
"""Control frames that a connection may have earned at most."""
RESETS: Final = 1000
"""Requests taken back before their answer, at once: nghttp2's figures."""
RESETS_A_SECOND: Final = 33.0


class TokenBucket:
    """
    A bucket of tokens.

    Args:
        burst: Tokens at first, and what it fills up to by itself.
        rate: Tokens a second.
        clock: Seconds.
        saved: What `earn` fills it up to.
    """

    def __init__(
        self, burst: int, rate: float, clock: Callable[[], float], saved: int | None = None
    ) -> None:
        self._burst = burst
        self._rate = rate
        self._clock = clock
        self._saved = burst if saved is None else saved
        self._left = float(burst)
        self._at = clock()

    def spend(self, tokens: int) -> bool:
        """Take tokens; False if there are not enough."""
        now = self._clock()
        if self._left < self._burst:
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        self._left -= tokens
        return self._left >= 0

    def earn(self, tokens: int) -> None:
        """Add tokens."""
        self._left = min(self._saved, self._left + tokens)


class Frames:
    """Counts the frames of one connection, in whatever pieces its bytes come."""

    def __init__(self) -> None:
        self._skip = PREFACE
        self._head = b""

    def count(self, data: bytes) -> tuple[int, int]:
        """Return how many frames begin in these bytes, and how many of them are to be paid for."""
        data = self._head + data
        size = len(data)
        at = self._skip
        frames = paid = 0
        while at + HEAD <= size:
            length = int.from_bytes(data[at : at + 3])
            kind = data[at + 3]
            frames += 1
            if kind == DATA:
                flags = data[at + 4]
                empty = not length or (length < TINY and flags & PADDED)
                paid += bool(empty) and not flags & END_STREAM
            elif kind != HEADERS:
                paid += 1
            at += HEAD + length
        self._skip = max(0, at - size)
        self._head = data[at:]
        return frames, paid


def resets(frames: bytes) -> int:
    """Return how many of these whole frames, which we send, reset a stream."""
    at = found = 0
    while at < len(frames):
        found += frames[at + 3] == RST_STREAM
        at += HEAD + int.from_bytes(frames[at : at + 3])
    return found


class LateData:
    """
    What comes for streams that we have reset: their client has sent it before it could know.

    It may be as much as fits in the window that each of them had left, in frames of any size.

    Args:
        most: Streams that are remembered, the latest ones.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._left: dict[int, int] = {}
        self._forgiven = 0

    def expect(self, number: int, size: int) -> None:
        """Note that we reset a stream, and how many bytes its client may have sent of it by now."""
        self._left[number] = size
        if len(self._left) > self._most:
            del self._left[next(iter(self._left))]

    def came(self, number: int, size: int, *, last: bool) -> None:
        """Note a frame of data for a stream that is closed; `last`: its client ends it."""
        left = self._left.pop(number, -1) - size
        if left < 0:
            return
        self._forgiven += 1
        if not last:
            self._left[number] = left

    def forgiven(self) -> int:
        """Return how many frames have come that are nobody's fault, since the last call."""
        forgiven, self._forgiven = self._forgiven, 0
        return forgiven


class Budget:
    """
    All of one connection's.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._frames = Frames()
        self._control = TokenBucket(FRAMES, FRAMES_A_SECOND, clock, FRAMES_SAVED)
        self._resets = TokenBucket(RESETS, RESETS_A_SECOND, clock)

    def read(self, data: bytes) -> tuple[int, bool]:
        """Return how many frames begin in these bytes, and whether they may be taken."""
        frames, paid = self._frames.count(data)
        return frames, not paid or self._control.spend(paid)

    def reply(self, frames: bytes, forgiven: int) -> bool:
        """
        Note what the protocol itself has answered; False if too much came for what was reset.

        What comes then is paid for like control frames, whatever it is: each has us answer, and
        nothing else comes of it. `forgiven`: for how many of them no client is to blame.
        """
        found = resets(frames) - forgiven
        return found <= 0 or self._control.spend(found)

    def earn(self) -> None:
        """Allow what goes with a request, or with a frame of data."""
        self._control.earn(FRAMES_EARNED)

    def take_back(self) -> bool:
        """Note a request that has been taken back, or refused; False if they are too many."""
        return self._resets.spend(1)

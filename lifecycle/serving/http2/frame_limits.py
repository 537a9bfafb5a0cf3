"""
Limits of HTTP/2: control frames, cancelled requests, and data for reset streams.

A frame of nine bytes costs its sender nothing, and this process about thirty microseconds. Frames
are therefore counted in the raw bytes, before they are parsed. docs/security.md has the rates, and
what other servers accept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

PREFACE: Final = 24
"""Bytes of the client preface (RFC 9113, section 3.4)."""
HEAD: Final = 9
"""Bytes of a frame's header."""
DATA, HEADERS, RST_STREAM = 0, 1, 3
END_STREAM: Final = 1
PADDED: Final = 8
"""The flag of a frame that has padding."""
TINY: Final = 5
"""Bytes of padded data below which a frame is counted like a frame without data."""

FRAMES: Final = 1000
"""Control frames that are allowed at once."""
FRAMES_A_SECOND: Final = 100.0
FRAMES_EARNED: Final = 10
"""Additional control frames for every request, and for every frame of data that we send."""
FRAMES_SAVED: Final = 10_000
"""The most control frames that a connection can save up."""
RESETS: Final = 1000
"""Cancelled requests that are allowed at once, as in nghttp2."""
RESETS_A_SECOND: Final = 33.0


class TokenBucket:
    """
    A token bucket.

    Args:
        burst: Tokens at the start, and the level to which it refills.
        rate: Tokens per second.
        clock: The clock, in seconds.
        saved: The level to which `earn` can fill it.
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
        """Take tokens. Returns False if there are not enough."""
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
    """Counts the frames of one connection, however its bytes are split."""

    def __init__(self) -> None:
        self._skip = PREFACE
        self._head = b""

    def count(self, data: bytes) -> tuple[int, int]:
        """Return how many frames start in these bytes, and how many of them cost tokens."""
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
    """Return how many of these whole outgoing frames reset a stream."""
    at = found = 0
    while at < len(frames):
        found += frames[at + 3] == RST_STREAM
        at += HEAD + int.from_bytes(frames[at : at + 3])
    return found


class LateData:
    """
    Data for streams that we have reset, sent before the client could notice the reset.

    The client may send as much as was left in the window of each stream, in frames of any size.

    Args:
        most: How many streams are remembered (the latest ones).
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._left: dict[int, int] = {}
        self._forgiven = 0

    def expect(self, number: int, size: int) -> None:
        """Note that we reset a stream, and how many bytes of it may still arrive."""
        self._left[number] = size
        if len(self._left) > self._most:
            del self._left[next(iter(self._left))]

    def came(self, number: int, size: int, *, last: bool) -> None:
        """Note a frame of data for a closed stream. `last`: the client ends the stream with it."""
        left = self._left.pop(number, -1) - size
        if left < 0:
            return
        self._forgiven += 1
        if not last:
            self._left[number] = left

    def forgiven(self) -> int:
        """Return how many frames since the last call were late without a fault of the client."""
        forgiven, self._forgiven = self._forgiven, 0
        return forgiven


class Budget:
    """
    The limits of one connection.

    Args:
        clock: The clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._frames = Frames()
        self._control = TokenBucket(FRAMES, FRAMES_A_SECOND, clock, FRAMES_SAVED)
        self._resets = TokenBucket(RESETS, RESETS_A_SECOND, clock)

    def read(self, data: bytes) -> tuple[int, bool]:
        """Return how many frames start in these bytes, and whether they are within the limit."""
        frames, paid = self._frames.count(data)
        return frames, not paid or self._control.spend(paid)

    def reply(self, frames: bytes, forgiven: int) -> bool:
        """
        Note the protocol's own replies. Returns False if too much has arrived for reset streams.

        Such frames cost tokens like control frames, whatever they are, because each one causes a
        reply and nothing else. `forgiven` is the number of those that are not the client's fault.
        """
        found = resets(frames) - forgiven
        return found <= 0 or self._control.spend(found)

    def earn(self) -> None:
        """Add the tokens for a request, or for a frame of data."""
        self._control.earn(FRAMES_EARNED)

    def take_back(self) -> bool:
        """Note a cancelled or refused request. Returns False if there were too many."""
        return self._resets.spend(1)

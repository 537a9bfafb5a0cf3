"""
Detection of times when a loop, or the whole process, stood still.

    due     due     due                     woken
     ├───────┼───────┼─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─┤
      10 ms   10 ms            a stall
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, NamedTuple

BEAT: Final = 0.01
"""Seconds between two beats."""
SHORTEST: Final = 0.02
"""Seconds by which a beat must be late to count as a stall."""


class Stall(NamedTuple):
    """A time in which something stood still, on the machine's monotonic clock."""

    began: float
    ended: float


class Pulse:
    """
    Beats on the loop that runs it.

    Args:
        note: Called with each stall.
        clock: The clock, for tests without waiting.
    """

    def __init__(
        self, note: Callable[[Stall], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._note = note
        self._clock = clock
        self._due = clock() + BEAT

    async def beat(self) -> None:
        """Beat until this is cancelled."""
        while True:
            self._due = self._clock() + BEAT
            await asyncio.sleep(BEAT)
            self.look()

    def look(self) -> None:
        """Check whether the due beat is late. Each stall is noted once."""
        now = self._clock()
        if now - self._due >= SHORTEST:
            self._note(Stall(self._due, now))
            self._due = now

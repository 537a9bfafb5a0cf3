"""
Notices when a loop, or the whole process, stood still.

    due     due     due                     woken
     ├───────┼───────┼─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─┤
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
"""Seconds that a beat must be late for to be a stall."""


class Stall(NamedTuple):
    """From when to when something stood still, on the machine's monotonic clock."""

    began: float
    ended: float


class Pulse:
    """
    Beats on the loop that runs it.

    Args:
        note: Called with each stall.
        clock: For tests without waiting.
    """

    def __init__(
        self, note: Callable[[Stall], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._note = note
        self._clock = clock
        self._due = clock() + BEAT

    async def beat(self) -> None:
        """Beat until it is cancelled."""
        while True:
            self._due = self._clock() + BEAT
            await asyncio.sleep(BEAT)
            self.look()

    def look(self) -> None:
        """See whether the beat that is due is late; one that is noted is not noted again."""
        now = self._clock()
        if now - self._due >= SHORTEST:
            self._note(Stall(self._due, now))
            self._due = now

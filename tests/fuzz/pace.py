"""Bytes a second, bounded."""

from __future__ import annotations

import asyncio
import time
from typing import Final

RATE: Final = 2_000_000.0
"""Bytes a second that a fuzzer or a flood sends in all."""
SLACK: Final = 0.05
"""Seconds that may be made up for."""


class Pace:
    """Gives leave to send; of one event loop."""

    def __init__(self, rate: float = RATE) -> None:
        self._rate = rate
        self._due = time.monotonic()

    async def leave(self, size: int) -> None:
        """Wait until so many bytes may be sent."""
        now = time.monotonic()
        self._due = max(self._due, now - SLACK) + size / self._rate
        if self._due > now:
            await asyncio.sleep(self._due - now)

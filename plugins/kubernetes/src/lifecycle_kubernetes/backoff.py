"""The pauses before the next request after an error of the API server."""

from __future__ import annotations

import asyncio
import random
from typing import Final

LONGEST: Final = 15.0
"""The longest pause in seconds."""


class Backoff:
    """
    Pauses that double, with jitter, so that not all pods of a cluster send requests at once.

    Args:
        first: The longest first pause in seconds.
    """

    def __init__(self, first: float = 0.1) -> None:
        self._first = self._next = first

    def reset(self) -> None:
        """Start again with the first pause, after a success."""
        self._next = self._first

    def next(self) -> float:
        """Return the seconds of this pause. The next one is longer."""
        seconds = self._next * random.uniform(0.5, 1)  # noqa: S311 - jitter
        self._next = min(self._next * 2, LONGEST)
        return seconds

    async def pause(self) -> None:
        """Wait. The next pause is longer."""
        await asyncio.sleep(self.next())

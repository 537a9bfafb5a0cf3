"""The pauses before the next try to connect."""

from __future__ import annotations

import asyncio
import random
from typing import Final

FIRST: Final = 0.1
LONGEST: Final = 1.0
"""The longest pause in seconds. A server that is back is noticed within this time."""


class Backoff:
    """
    Pauses that double, with jitter, so that not all pods of a cluster connect at once.

    The first try comes without a pause, because a connection may be closed for any reason.
    """

    def __init__(self) -> None:
        self._next = 0.0

    def reset(self) -> None:
        """Start again without a pause, after a success."""
        self._next = 0.0

    async def pause(self) -> None:
        """Wait. The next pause is longer."""
        seconds = self._next * random.uniform(0.5, 1)  # noqa: S311 - jitter
        self._next = min(max(self._next * 2, FIRST), LONGEST)
        await asyncio.sleep(seconds)

"""How long to wait before the API server is asked again after an error."""

from __future__ import annotations

import asyncio
import random
from typing import Final

LONGEST: Final = 15.0
"""Seconds that a pause has at most."""


class Backoff:
    """
    Pauses that double, with jitter: the pods of a cluster do not ask all at once.

    Args:
        first: Seconds of the first pause, at most.
    """

    def __init__(self, first: float = 0.1) -> None:
        self._first = self._next = first

    def reset(self) -> None:
        """Begin with the first pause again: it has worked."""
        self._next = self._first

    async def pause(self) -> None:
        """Wait, and have the next pause be longer."""
        await asyncio.sleep(self._next * random.uniform(0.5, 1))  # noqa: S311 - jitter
        self._next = min(self._next * 2, LONGEST)

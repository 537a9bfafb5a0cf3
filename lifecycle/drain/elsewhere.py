"""Traffic that other processes serve, as a drain sees it: the workers of a command."""

from __future__ import annotations

import math
from typing import Protocol


class Elsewhere(Protocol):
    """
    Traffic that other processes serve. Asked on the control thread, once a drain has begun.

    Whoever implements it wakes the drain by `Traffic.nudge` when what is in flight has ended, and
    from T0 on at each sign of life of those who notice arrivals.
    """

    def begin(self) -> None:
        """Take note of T0."""

    def in_flight(self) -> int:
        """Return how many pieces of work are under way; from any thread, before T0 too."""

    def names(self) -> list[str]:
        """Name the most frequent of them; from any thread."""

    def arrived_at(self) -> float:
        """Return when one last came that counts; minus infinity if none has."""

    def awake_since(self) -> float:
        """Return since when all who notice arrivals have done so without a pause."""

    def seen_until(self) -> float:
        """Return the time up to which all of them have looked; infinity if nobody needs to."""

    def disturbers(self) -> list[str]:
        """Return who has come while draining: `user agent`."""


class Nowhere:
    """There is no other process."""

    def begin(self) -> None:
        """Do nothing."""

    def in_flight(self) -> int:
        """Return 0."""
        return 0

    def names(self) -> list[str]:
        """Name nothing."""
        return []

    def arrived_at(self) -> float:
        """Nothing has come."""
        return -math.inf

    def awake_since(self) -> float:
        """Nobody needs to look."""
        return -math.inf

    def seen_until(self) -> float:
        """Nobody needs to look."""
        return math.inf

    def disturbers(self) -> list[str]:
        """Nobody has come."""
        return []

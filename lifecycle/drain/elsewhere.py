"""The traffic of other processes, such as the workers of a command, for the drain."""

from __future__ import annotations

import math
from typing import Protocol


class Elsewhere(Protocol):
    """
    The traffic of other processes. Used on the control thread, after the drain start.

    An implementation calls `Traffic.nudge` when the work in flight has ended and, after the drain
    start, at each heartbeat of the processes that notice requests.
    """

    def begin(self) -> None:
        """Handle the drain start."""

    def in_flight(self) -> int:
        """Return the amount of work in flight. From any thread, also before the drain start."""

    def names(self) -> list[str]:
        """Return the names of the most frequent work. From any thread."""

    def arrived_at(self) -> float:
        """Return the time of the last request that counts, or minus infinity."""

    def awake_since(self) -> float:
        """Return the time since which all processes have noticed requests without a pause."""

    def seen_until(self) -> float:
        """Return the time up to which all processes have looked, or infinity without processes."""

    def disturbers(self) -> list[str]:
        """Return the user agents of the clients that came while draining."""


class Nowhere:
    """No other process has traffic."""

    def begin(self) -> None:
        """Do nothing."""

    def in_flight(self) -> int:
        """Return 0."""
        return 0

    def names(self) -> list[str]:
        """Return no names."""
        return []

    def arrived_at(self) -> float:
        """Return minus infinity."""
        return -math.inf

    def awake_since(self) -> float:
        """Return minus infinity."""
        return -math.inf

    def seen_until(self) -> float:
        """Return infinity."""
        return math.inf

    def disturbers(self) -> list[str]:
        """Return no clients."""
        return []

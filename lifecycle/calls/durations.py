"""How long the runs of one kind took, as a histogram."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lifecycle.status_records import Histogram

BOUNDS: Final = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
"""The upper bounds of the buckets in seconds. A last bucket has no bound."""


class Durations:
    """
    Counts runs by their duration. For one thread.

    Attributes:
        counts: The number of runs in each bucket of `BOUNDS`, and in a last one without a bound.
        seconds: The seconds of all runs together.
    """

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def note(self, seconds: float) -> None:
        """Count one run that took so many seconds."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    def status(self) -> Histogram:
        """Return them as `/status` shows them."""
        return {"bounds": [*BOUNDS], "counts": [*self.counts], "seconds": round(self.seconds, 6)}

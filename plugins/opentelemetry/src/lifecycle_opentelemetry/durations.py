"""
Durations for a histogram of OpenTelemetry, from the numbers that a snapshot has.

A snapshot counts runs in buckets. OpenTelemetry has no histogram that reads such numbers, only one
that gets every single duration. So the code here makes durations that give the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

EDGE: Final = 1e-9
"""Seconds by which a duration is longer than the lower bound of its bucket."""


class Seen:
    """The runs that a histogram already has, for each of its series."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, ...], tuple[Sequence[int], float]] = {}

    def new(self, series: tuple[str, ...], runs: Mapping[str, Any]) -> Iterator[float]:
        """
        Yield a duration for each run since the last call.

        Their number in each bucket is exact, and so is their sum. Each single one is only known to
        be in its bucket.

        Args:
            series: Identifies the series.
            runs: Its record in the snapshot: `bounds`, `counts` and `seconds`.
        """
        counts, seconds = [*runs["counts"]], float(runs["seconds"])
        none: tuple[Sequence[int], float] = ([0] * len(counts), 0.0)
        old_counts, old_seconds = self._before.get(series, none)
        fresh = [now - old for now, old in zip(counts, old_counts, strict=True)]
        if min(fresh) < 0:  # another app of the same process
            fresh, old_seconds = counts, 0.0
        self._before[series] = counts, seconds
        return durations(runs["bounds"], fresh, seconds - old_seconds)


def durations(bounds: Sequence[float], counts: Sequence[int], seconds: float) -> Iterator[float]:
    """
    Yield as many durations as were counted in each bucket, with this sum.

    Args:
        bounds: The upper bound of each bucket. A last bucket has none.
        counts: The number of durations in each bucket.
        seconds: The sum of all durations.
    """
    lows = [0.0, *(bound + EDGE for bound in bounds)]
    rest = seconds - sum(low * count for low, count in zip(lows, counts, strict=True))
    highs = [*bounds, lows[-1] + (max(0.0, rest) / counts[-1] if counts[-1] else 0.0)]
    room = sum((high - low) * count for low, high, count in zip(lows, highs, counts, strict=True))
    share = min(1.0, max(0.0, rest / room)) if room > 0 else 0.0
    for low, high, count in zip(lows, highs, counts, strict=True):
        for _ in range(count):
            yield min(high, low + share * (high - low))  # which rounding may exceed

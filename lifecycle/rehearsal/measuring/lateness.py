"""A histogram of delays that can be added to another one. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Final

FINEST: Final = 0.0001
"""Seconds below which delays are not distinguished."""
STEP: Final = math.log(1.1)
DOUBT: Final = 0.1
"""The delay in seconds at which the result is in doubt, if one request in a hundred had it."""


class Lateness:
    """Delays in seconds, between when something was due and when it was done."""

    def __init__(self, counts: Mapping[int, int] | None = None, longest: float = 0.0) -> None:
        self._counts = Counter(counts or {})
        self.longest = longest

    def add(self, seconds: float) -> None:
        """Count one delay."""
        late = max(seconds, 0.0)
        self._counts[max(0, math.ceil(math.log(max(late, FINEST) / FINEST) / STEP))] += 1
        self.longest = max(self.longest, late)

    def merge(self, other: Lateness) -> None:
        """Add the counts of another histogram."""
        self._counts.update(other._counts)
        self.longest = max(self.longest, other.longest)

    @property
    def count(self) -> int:
        """The number of delays."""
        return self._counts.total()

    def quantile(self, share: float) -> float:
        """Return the delay that this share does not exceed. It is at most a tenth too large."""
        left = share * self.count
        for step in sorted(self._counts):
            left -= self._counts[step]
            if left <= 0:
                return min(FINEST * math.exp(step * STEP), self.longest)
        return self.longest

    @property
    def in_doubt(self) -> bool:
        """Whether the delays were so long that the result is in doubt."""
        return self.quantile(0.99) > DOUBT

    def to_json(self) -> tuple[dict[str, int], float]:
        """Return the value that `from_json` takes."""
        return {str(step): count for step, count in self._counts.items()}, self.longest

    @classmethod
    def from_json(cls, counts: Mapping[str, int], longest: float) -> Lateness:
        """Make a histogram from the value of `to_json`."""
        return cls({int(step): count for step, count in counts.items()}, longest)

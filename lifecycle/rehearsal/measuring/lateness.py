"""How late something was, counted in a histogram that can be added to another. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Final

FINEST: Final = 0.0001
"""Seconds below which it is not told apart."""
STEP: Final = math.log(1.1)
DOUBT: Final = 0.1
"""Seconds of lateness, for one request in a hundred, from which on the result is in doubt."""


class Lateness:
    """Seconds between when something was due and when it was done."""

    def __init__(self, counts: Mapping[int, int] | None = None, longest: float = 0.0) -> None:
        self._counts = Counter(counts or {})
        self.longest = longest

    def add(self, seconds: float) -> None:
        """Count one."""
        late = max(seconds, 0.0)
        self._counts[max(0, math.ceil(math.log(max(late, FINEST) / FINEST) / STEP))] += 1
        self.longest = max(self.longest, late)

    def merge(self, other: Lateness) -> None:
        """Count another's too."""
        self._counts.update(other._counts)
        self.longest = max(self.longest, other.longest)

    @property
    def count(self) -> int:
        """How many there were."""
        return self._counts.total()

    def quantile(self, share: float) -> float:
        """Return what this share does not exceed, at most a tenth too large."""
        left = share * self.count
        for step in sorted(self._counts):
            left -= self._counts[step]
            if left <= 0:
                return min(FINEST * math.exp(step * STEP), self.longest)
        return self.longest

    @property
    def in_doubt(self) -> bool:
        """Whether it was so late that what it measured is doubtful."""
        return self.quantile(0.99) > DOUBT

    def to_json(self) -> tuple[dict[str, int], float]:
        """Return what `from_json` takes."""
        return {str(step): count for step, count in self._counts.items()}, self.longest

    @classmethod
    def from_json(cls, counts: Mapping[str, int], longest: float) -> Lateness:
        """Make it of what `to_json` gave."""
        return cls({int(step): count for step, count in counts.items()}, longest)

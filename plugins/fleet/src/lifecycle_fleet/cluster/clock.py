"""
The time of the API server, which differs from the time of this machine if one of the clocks is wrong.

Each answer has the header `Date`, in whole seconds. It was written between the request and the answer,
so each answer gives the smallest and the largest difference that are possible.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final

RESOLUTION: Final = 1.0
"""Seconds by which the time of an answer may be later than its `Date`."""


class Clock:
    """
    The clock of the API server, as its answers show it. Until the first answer, that of this machine.

    Args:
        local: Returns the time of this machine, in seconds since the epoch. By default `time.time`.

    Attributes:
        offset: Seconds by which the API server is ahead of this machine, to within a second. It only
            changes if an answer contradicts it.
    """

    def __init__(self, local: Callable[[], float] | None = None) -> None:
        self.local: Final = local or time.time
        self.offset = 0.0
        self._least, self._most = -math.inf, math.inf

    def now(self) -> float:
        """Return the time of the API server, in seconds since the epoch."""
        return self.local() + self.offset

    def answered(self, date: str, sent: float, received: float) -> None:
        """
        Learn from an answer.

        Args:
            date: Its header `Date`. Empty without one.
            sent: When the request was sent, by the clock of this machine.
            received: When the answer came, by the clock of this machine.
        """
        written = _seconds(date)
        if written is None or received < sent:
            return
        least, most = written - received, written + RESOLUTION - sent
        if least > self._most or most < self._least:  # a clock was set since
            self._least, self._most = least, most
        else:
            self._least, self._most = max(least, self._least), min(most, self._most)
        if not self._least <= self.offset <= self._most:
            self.offset = (self._least + self._most) / 2


def _seconds(date: str) -> float | None:
    try:
        found = parsedate_to_datetime(date)
        return found.timestamp() if found.tzinfo is not None else None
    except (ValueError, TypeError, OverflowError):
        return None

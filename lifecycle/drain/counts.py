"""Totals of a process that only grow: its requests, and the clients that were told to go."""

from __future__ import annotations

import sys
from collections.abc import Callable
from operator import length_hint
from typing import Final, NamedTuple

_MOST: Final = sys.maxsize


class Totals(NamedTuple):
    """
    Numbers since the start.

    Attributes:
        requests: The number of requests and other pieces of work that have come.
        told_to_go: The number of connections that were told to close.
    """

    requests: int = 0
    told_to_go: int = 0


class Count:
    """
    A number that only grows. From any thread, and without a lock.

    Attributes:
        next: Adds one. It returns the number before, which is therefore unique.
    """

    __slots__ = ("_numbers", "next")

    def __init__(self) -> None:
        self._numbers = iter(range(_MOST))
        self.next: Callable[[], int] = self._numbers.__next__

    @property
    def value(self) -> int:
        """The number of calls of `next` so far."""
        return _MOST - length_hint(self._numbers)

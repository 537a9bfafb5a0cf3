"""Memory that was needed for a moment, given back to the system."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final

MANY: Final = 64
"""So many at a time leave memory behind that is worth it."""
FEW: Final = 8
"""One in so many of these may still be there."""
DELAY: Final = 1.0
"""Seconds until what has ended is freed."""
PAUSE: Final = 4.0
"""Seconds between two times."""
SHARE: Final = 0.02
"""Of all time, that it may take: it walks through all of the process's memory, and stops the loop."""


def trim() -> None:
    """
    Have glibc give back what is free between what lives; it does not by itself.

    Other systems' allocators have no such call, and most of them need none.
    """
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes  # here: hardly a process ever needs it

        ctypes.CDLL(None).malloc_trim(0)


class Trimmer:
    """
    Gives memory back once many things of a kind have gone.

    Args:
        clock: Seconds, as the running loop counts them.
        call_at: The running loop's.
        give_back: What does it.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        call_at: Callable[[float, Callable[[], object]], object],
        give_back: Callable[[], object] = trim,
    ) -> None:
        self._clock = clock
        self._call_at = call_at
        self._give_back = give_back
        self._most = 0
        self._earliest = clock()
        self._planned = False

    def note_count(self, count: int) -> None:
        """Note how many there are now."""
        self._most = max(self._most, count)
        if self._most < MANY or count > self._most // FEW or self._planned:
            return
        self._planned = True
        self._most = count
        self._call_at(max(self._clock() + DELAY, self._earliest), self._trim)

    def _trim(self) -> None:
        self._planned = False
        began = self._clock()
        self._give_back()
        ended = self._clock()
        self._earliest = ended + max(PAUSE, (ended - began) / SHARE)

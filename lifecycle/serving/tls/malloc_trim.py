"""Returning memory to the system that was needed only for a moment."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final

MANY: Final = 64
"""The number of simultaneous objects from which their memory is worth returning."""
FEW: Final = 8
"""Memory is returned once only one in so many of them is left."""
DELAY: Final = 1.0
"""Seconds until ended objects are freed."""
PAUSE: Final = 4.0
"""Seconds between two trims."""
SHARE: Final = 0.02
"""The share of all time that trims may take. A trim walks through all memory, and blocks."""


def trim() -> None:
    """
    Have glibc return free memory between used blocks, which it does not do by itself.

    Allocators of other systems have no such call, and most of them need none.
    """
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes  # imported here, because hardly any process needs it

        ctypes.CDLL(None).malloc_trim(0)


class Trimmer:
    """
    Returns memory after many objects of one kind have gone.

    Args:
        clock: The clock of the running loop, in seconds.
        call_at: `call_at` of the running loop.
        give_back: Returns the memory.
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
        """Note the current number of objects."""
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

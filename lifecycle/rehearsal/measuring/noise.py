"""
The noise of the machine, and which results it may have spoilt. Pure.

Rules of this file, each from experiments that docs/rehearse.md describes:

1. Losses may have been missed if a process stood still for long. The limits are a quarter of the
   time in which clients notice a removal (without a break), or half of the whole time. Breaks
   shorter than `BRIEF` make requests late, but prevent none.
2. A loss takes one moment, so less noise can explain it: a tenth of the duration of its request.
   If the client may have noticed late that the replica was leaving, a fiftieth of the time since
   the drain start is enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lifecycle.rehearsal.measuring.stalls import BEAT, Stall

LONG: Final = 0.25
"""Seconds that any process may stand still without a break in any case."""
QUARTER: Final = 0.25
"""The share of the propagation that any process may stand still without a break."""
BRIEF: Final = 0.05
"""Seconds below which a break prevents no requests."""
MISSES: Final = 0.5
"""The share of the time from which losses may have been missed."""
MAKES: Final = 0.02
"""The share of the time since the drain start from which noise may have made a loss."""
DELAYS: Final = 0.1
"""The share of a request's duration from which noise may have made its loss."""


class Noise:
    """
    The times when a process of the rehearsal stood still.

    Args:
        stalls: The stalls of all processes, in any order.
        propagation: Seconds until the last client has noticed that a replica leaves.
    """

    def __init__(self, stalls: Iterable[Stall], propagation: float) -> None:
        self._longest = max(LONG, QUARTER * propagation)
        self._stalls: list[Stall] = []
        for stall in sorted(stalls):
            last = self._stalls[-1] if self._stalls else None
            if last is not None and stall.began <= last.ended:
                self._stalls[-1] = Stall(last.began, max(last.ended, stall.ended))
            else:
                self._stalls.append(stall)

    def within(self, began: float, ended: float, shortest: float = BRIEF) -> tuple[float, float]:
        """Return the seconds of stalls in a span: all of them, and the longest."""
        cut = [
            min(stall.ended, ended) - max(stall.began, began)
            for stall in self._stalls
            if stall.began < ended and stall.ended > began and stall.ended - stall.began >= shortest
        ]
        return sum(cut), max(cut, default=0.0)

    def may_hide_losses(self, began: float, ended: float) -> bool:
        """Return whether a loss in a span may have been missed."""
        together, on_end = self.within(began, ended)
        return on_end >= self._longest or together > MISSES * (ended - began)

    def may_have_lost(self, since: float, sent: float, at: float, *, unheard: bool) -> bool:
        """
        Return whether noise can explain a loss.

        Args:
            since: The drain start of the replica, or when the request was sent, if that was
                earlier.
            sent: When the request was sent.
            at: When it was lost.
            unheard: Whether the cause is, or may be, that the client had not noticed a change.
        """
        together, on_end = self.within(since, at, 0.0)
        if on_end >= LONG or (unheard and together > max(MAKES * (at - since), BEAT)):
            return True
        early = sent - BEAT
        return self.within(early, at, 0.0)[0] > DELAYS * (at - early)

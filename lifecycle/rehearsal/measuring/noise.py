"""
What of a rehearsal its own machine may have spoilt. Pure.

Rules of this file, each from experiments that docs/rehearse.md tells of:

1. Losses may have been missed where a process stood still on end for a quarter of the time in
   which clients hear of a removal, or for half of the time altogether. Breaks that are shorter
   than `BRIEF` make requests late, and take none away.
2. A loss takes one moment only, so that less can explain it: a tenth of the time that its
   request took. Where the client may have heard late that the replica leaves, a fiftieth of the
   time since that is enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lifecycle.rehearsal.measuring.stalls import BEAT, Stall

LONG: Final = 0.25
"""Seconds that anything may stand still on end in any case."""
QUARTER: Final = 0.25
"""The share of the propagation that anything may stand still on end."""
BRIEF: Final = 0.05
"""Seconds below which a break takes no requests away."""
MISSES: Final = 0.5
"""The share of the time from which on losses may have been missed."""
MAKES: Final = 0.02
"""The share of the time since T0 from which on it may have made a loss."""
DELAYS: Final = 0.1
"""The share of a request's time from which on it may have made the loss of it."""


class Noise:
    """
    When a process of the rehearsal stood still.

    Args:
        stalls: Of all of them, in any order.
        propagation: Seconds until the last client has heard that a replica leaves.
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
        """Return for how many seconds of a span it was, together and on end at most."""
        cut = [
            min(stall.ended, ended) - max(stall.began, began)
            for stall in self._stalls
            if stall.began < ended and stall.ended > began and stall.ended - stall.began >= shortest
        ]
        return sum(cut), max(cut, default=0.0)

    def may_hide_losses(self, began: float, ended: float) -> bool:
        """Tell whether a loss in a span may have been missed."""
        together, on_end = self.within(began, ended)
        return on_end >= self._longest or together > MISSES * (ended - began)

    def may_have_lost(self, since: float, sent: float, at: float, *, unheard: bool) -> bool:
        """
        Tell whether it explains a loss.

        Args:
            since: T0 of the replica, or when the request was sent, if that was earlier.
            sent: When the request was sent.
            at: When it was lost.
            unheard: Whether it was lost because the client had not heard of something, or may be.
        """
        together, on_end = self.within(since, at, 0.0)
        if on_end >= LONG or (unheard and together > max(MAKES * (at - since), BEAT)):
            return True
        early = sent - BEAT
        return self.within(early, at, 0.0)[0] > DELAYS * (at - early)

"""
Telling, among connections of which only the kernel tells, those of a monitor: they keep a beat.

A health check on the app's own port is a new connection, and the kernel shows no user agent. But
each sends the same bytes from the same address at a regular beat, and clients do not.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

SHORTEST: Final = 0.5
"""Seconds between two checks of one monitor, at least; the kubelet's period is 1 s or more."""
MONITORS: Final = 4
"""How many beats may be mixed: liveness, readiness and startup may ask the same question."""
PERIODS: Final = 3
"""How many times each of them must have kept its beat."""
LOOSE: Final = 0.1
"""The part of a period by which a check may be early or late."""
KEPT: Final = 100
"""How many senders are told apart: strangers choose their addresses."""


class Sender:
    """Who sends the same number of bytes from the same address."""

    def __init__(self) -> None:
        self.count = 0
        self.times: deque[float] = deque(maxlen=MONITORS * (PERIODS + 1))
        self.at = -math.inf
        """When it last came."""

    def came(self, ended: float, began: float) -> None:
        """Note a connection; its end is what is known exactly."""
        self.count += 1
        self.times.append(ended)
        self.at = max(self.at, began)

    @property
    def keeps_a_beat(self) -> bool:
        """True if it came as a monitor does, or as a few of them do, all the last times."""
        times = list(self.times)
        return any(_regular(times, mixed) for mixed in range(1, MONITORS + 1))


def _regular(times: list[float], mixed: int) -> bool:
    """Tell whether each of the last times lies a period behind another."""
    last = times[-mixed * (PERIODS + 1) :]
    if len(last) < mixed * (PERIODS + 1):
        return False
    periods = [later - before for before, later in zip(last, last[mixed:], strict=False)]
    period = sum(periods) / len(periods)
    return period >= SHORTEST and max(abs(each - period) for each in periods) <= LOOSE * period


class Arrivals:
    """
    The connections that have come and gone since T0, by sender.

    Nothing was sent on some (a port that was only tried): those are nobody's request.
    """

    def __init__(self) -> None:
        self._senders: dict[tuple[bytes, int], Sender] = {}
        self._others_at = -math.inf

    def note(self, peer: bytes, received: int, *, ended: float, began: float) -> None:
        """
        Note a connection that has ended.

        Args:
            peer: Where it came from.
            received: The bytes that came on it; its end counts as one.
            ended: When it ended.
            began: When it was first seen.
        """
        if received <= 1:
            return
        sender = self._senders.pop((peer, received), None) or Sender()
        sender.came(ended, began)
        self._senders[peer, received] = sender
        if len(self._senders) > KEPT:
            oldest = next(iter(self._senders))
            self._others_at = max(self._others_at, self._senders.pop(oldest).at)

    def missed(self, at: float) -> None:
        """Note that so many have ended that some were not seen."""
        self._others_at = max(self._others_at, at)

    def last(self) -> float:
        """Return when one last came that is no monitor's; minus infinity if none has."""
        counting = (each.at for each in self._senders.values() if not each.keeps_a_beat)
        return max(self._others_at, max(counting, default=-math.inf))

    def most(self) -> list[tuple[bytes, int]]:
        """Return who has come most often, the monitors left out: address and count."""
        counts: dict[bytes, int] = {}
        for (peer, _), sender in self._senders.items():
            if not sender.keeps_a_beat:
                counts[peer] = counts.get(peer, 0) + sender.count
        return sorted(counts.items(), key=lambda each: -each[1])[:5]

"""
Recognizes health checks by their regular timing, from connections that only the kernel sees.

A health check on the app's own port is a new connection, and the kernel shows no user agent. But
each health check sends the same number of bytes from the same address at a regular interval, and
clients do not.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable
from typing import Final

from lifecycle.drain.late_arrivals import Timeline

SHORTEST: Final = 0.5
"""The shortest interval of a monitor, in seconds. The kubelet's is 1 s or more."""
MONITORS: Final = 4
"""Intervals that may be mixed, because all three probes may send the same request."""
PERIODS: Final = 3
"""Intervals that each of them must have kept."""
LOOSE: Final = 0.1
"""The fraction of an interval by which a check may be early or late."""
KEPT: Final = 100
"""Senders that are stored at most, because clients choose their addresses."""


class Sender:
    """A sender: the same number of bytes from the same address."""

    def __init__(self) -> None:
        self.count = 0
        self.seconds: Counter[int] = Counter()
        """The number of its connections in each second after the drain start."""
        self.times: deque[float] = deque(maxlen=MONITORS * (PERIODS + 1))
        self.at = -math.inf
        """The time of its last connection."""

    def came(self, ended: float, began: float, second: int) -> None:
        """Store a connection. Its end is known exactly, its start is not."""
        self.count += 1
        self.seconds[second] += 1
        self.times.append(ended)
        self.at = max(self.at, began)

    @property
    def keeps_a_beat(self) -> bool:
        """True if the last connections came as regularly as those of one or a few monitors."""
        times = list(self.times)
        return any(_regular(times, mixed) for mixed in range(1, MONITORS + 1))


def _regular(times: list[float], mixed: int) -> bool:
    """Return True if each of the last times lies one interval after another."""
    last = times[-mixed * (PERIODS + 1) :]
    if len(last) < mixed * (PERIODS + 1):
        return False
    periods = [later - before for before, later in zip(last, last[mixed:], strict=False)]
    period = sum(periods) / len(periods)
    return period >= SHORTEST and max(abs(each - period) for each in periods) <= LOOSE * period


class Arrivals:
    """
    The connections that have come and gone since the drain start, by sender.

    Connections without data, for example from a port check, do not count.

    Args:
        since: The drain start.
    """

    def __init__(self, since: float = 0.0) -> None:
        self._since = since
        self._senders: dict[tuple[bytes, int], Sender] = {}
        self._others_at = -math.inf
        self._others: Counter[int] = Counter()
        """The connections of senders that are no longer stored, by second."""

    def note(self, peer: bytes, received: int, *, ended: float, began: float) -> None:
        """
        Store a connection that has ended.

        Args:
            peer: The address of the client.
            received: The bytes received on it. Its end counts as one byte.
            ended: The time of its end.
            began: The time when it was first seen.
        """
        if received <= 1:
            return
        sender = self._senders.pop((peer, received), None) or Sender()
        sender.came(ended, began, int(began - self._since))
        self._senders[peer, received] = sender
        if len(self._senders) > KEPT:
            oldest = self._senders.pop(next(iter(self._senders)))
            self._others_at = max(self._others_at, oldest.at)
            self._others += oldest.seconds

    def missed(self, at: float) -> None:
        """Store that some connections were missed, because too many ended at once."""
        self._others_at = max(self._others_at, at)

    def last(self) -> float:
        """Return the time of the last connection that is not from a monitor, or minus infinity."""
        counting = (each.at for each in self._senders.values() if not each.keeps_a_beat)
        return max(self._others_at, max(counting, default=-math.inf))

    def timeline(self, open_since: Iterable[float]) -> Timeline:
        """
        Return the times of all connections that are not from a monitor.

        Args:
            open_since: When the connections were first seen that are still open.
        """
        found = Timeline(self._since)
        counts = Counter(self._others)
        for each in self._senders.values():
            if not each.keeps_a_beat:
                counts += each.seconds
        for second, count in counts.items():
            found.add(self._since + second, count)
        for at in open_since:
            found.add(at)
        found.last = max(found.last, self.last() - self._since)
        return found

    def most(self) -> list[tuple[bytes, int]]:
        """Return the most frequent addresses with their counts, without monitors."""
        counts: dict[bytes, int] = {}
        for (peer, _), sender in self._senders.items():
            if not sender.keeps_a_beat:
                counts[peer] = counts.get(peer, 0) + sender.count
        return sorted(counts.items(), key=lambda each: -each[1])[:5]

"""The totals of all workers of a command since the start, including the dead workers."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import NamedTuple

from lifecycle.drain.counts import Totals
from lifecycle.instrumentation.lifecycle_worker.board import TOLD_TO_GO, Slot


class _Life(NamedTuple):
    """One worker. Its slot, and even its pid, may belong to another worker later."""

    slot: int
    pid: int
    started: int
    since: float


class WorkerTotals:
    """
    Adds up the counters of all workers. From any thread.

    The slot of a dead worker is used again, so its counters are kept here. Otherwise the sum would
    decrease, and Prometheus would take the rest for new requests.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._there: dict[_Life, Totals] = {}
        self._gone = Totals()

    def read(self, slots: Iterable[Slot]) -> Totals:
        """
        Return the sums. They never decrease.

        Args:
            slots: The slots of all workers that run, or that have died since the last call.
        """
        with self._lock:
            there = {}
            for slot in slots:
                life = _Life(slot.index, slot.pid, slot.started, slot.since)
                before = self._there.pop(life, Totals())
                there[life] = Totals(
                    # A request moves from one number to the other, and not at once.
                    max(before.requests, slot.served + slot.in_flight),
                    max(before.told_to_go, slot.board.whole[slot.at + TOLD_TO_GO]),
                )
            self._gone = _sum((self._gone, *self._there.values()))
            self._there = there
            return _sum((self._gone, *there.values()))


def _sum(totals: Iterable[Totals]) -> Totals:
    requests, told_to_go = map(sum, zip(*totals, strict=True))
    return Totals(requests, told_to_go)

"""The traffic of a command: as its workers report it, or else as the kernel reports it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from lifecycle.drain.counts import Totals
from lifecycle.drain.elsewhere import Ended, Nowhere, Reports, Seen, View
from lifecycle.drain.late_arrivals import ArrivalStatus
from lifecycle.drain.uninstrumented import UninstrumentedTraffic
from lifecycle.process.command.workers import Workers


class CommandTraffic:
    """
    The traffic of a command. The source is chosen when the drain starts, or `watched` is entered.

    If no worker has ever reported that it serves, the kernel is the source.

    Args:
        workers: The reports of the workers.
        kernel: The reports of the kernel.
        told: Returns whether a worker has reported that it serves.
    """

    def __init__(
        self, workers: Workers | Nowhere, kernel: UninstrumentedTraffic, told: Callable[[], bool]
    ) -> None:
        self._workers = workers
        self._asked: Reports = workers
        self._kernel = kernel
        self._told = told
        self._draining = False
        self._watching = 0

    def send_away(self, settles_at: float) -> None:
        """Have the workers tell their clients to go. Called on the control loop."""
        self._workers.send_away(settles_at)

    def stay(self) -> None:
        """Take `send_away` back. Called on the control loop."""
        self._workers.stay()

    @contextmanager
    def watched(self) -> Iterator[bool]:
        """Watch the connections in the kernel if no worker reports. Called on the control loop."""
        if self._told():
            yield True
            return
        self._watching += 1
        if self._watching == 1:
            self._asked = self._kernel
            self._kernel.begin()
        try:
            yield False
        finally:
            self._watching -= 1
            if not self._watching and not self._draining:
                self._kernel.end()
                self._asked = self._workers

    def begin(self) -> None:
        """Note that the drain starts. Called on the control loop."""
        self._draining = True
        self._asked = self._workers
        self._workers.begin()
        if not self._told():
            self._asked = self._kernel
            self._kernel.begin()

    def in_flight(self) -> int:
        """Return the number of requests in flight. Any thread."""
        return self._asked.in_flight()

    def names(self) -> list[str]:
        """Return the most frequent names of the work in flight. Any thread."""
        return self._asked.names()

    def arrived_at(self) -> float:
        """Return when the last request that counts arrived, or minus infinity if none has."""
        return self._asked.arrived_at()

    def awake_since(self) -> float:
        """Return since when every source has noticed arrivals without a pause."""
        return self._asked.awake_since()

    def seen_until(self) -> float:
        """Return the time up to which every source has looked, or infinity if none needs to."""
        return self._asked.seen_until()

    def disturbers(self) -> list[str]:
        """Return the clients that have sent requests during the drain."""
        return self._asked.disturbers()

    async def view(self, limit: int, *, stacks: bool) -> View:
        """Return the oldest work in flight. For the control loop."""
        return await self._asked.view(limit, stacks=stacks)

    async def locate(self) -> None:
        """Store where the work in flight stands, for the report. For the control loop."""
        await self._asked.locate()

    def cut_off(self) -> Sequence[Seen]:
        """Return the work that is cut off."""
        return self._asked.cut_off()

    def last_to_end(self) -> Ended | None:
        """Return the work that ended last while draining, or None."""
        return self._asked.last_to_end()

    def arrivals(self) -> ArrivalStatus | None:
        """Return what came after the drain start. None if the workers report each arrival."""
        return self._asked.arrivals()

    def totals(self) -> Totals:
        """Return what the workers have counted since the start. Any thread."""
        return self._workers.totals()

    def oldest_at(self) -> float:
        """Return when the oldest request in flight has started. Any thread."""
        return self._asked.oldest_at()

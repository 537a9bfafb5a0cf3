"""The traffic of a command: by its workers' own word, or, where none can tell, by the kernel's."""

from __future__ import annotations

from collections.abc import Callable

from lifecycle.drain.elsewhere import Elsewhere
from lifecycle.drain.uninstrumented import UninstrumentedTraffic


class CommandTraffic:
    """
    Decides at T0 who is asked: the kernel, if no worker has ever said that it serves.

    Args:
        workers: What the workers tell.
        kernel: What the kernel tells.
        told: Tells whether a worker has said that it serves.
    """

    def __init__(
        self, workers: Elsewhere, kernel: UninstrumentedTraffic, told: Callable[[], bool]
    ) -> None:
        self._workers = self._asked = workers
        self._kernel = kernel
        self._told = told

    def begin(self) -> None:
        """Take note of T0; on the control loop."""
        self._workers.begin()
        if not self._told():
            self._asked = self._kernel
            self._kernel.begin()

    def in_flight(self) -> int:
        """Return how much is under way; from any thread."""
        return self._asked.in_flight()

    def names(self) -> list[str]:
        """Name the most frequent of it; from any thread."""
        return self._asked.names()

    def arrived_at(self) -> float:
        """Return when something last came that counts; minus infinity if nothing has."""
        return self._asked.arrived_at()

    def awake_since(self) -> float:
        """Return since when all who notice arrivals have done so without a pause."""
        return self._asked.awake_since()

    def seen_until(self) -> float:
        """Return the time up to which all of them have looked; infinity if nobody needs to."""
        return self._asked.seen_until()

    def disturbers(self) -> list[str]:
        """Return who has come while draining."""
        return self._asked.disturbers()

"""The drain, as `lifecycle_drain` is given it."""

from __future__ import annotations

from collections.abc import Callable

from lifecycle.calls.moment import Moment
from lifecycle.drain.timetable import Timetable


class Drain:
    """
    One drain, as `lifecycle_drain` is given it. Every method may be used on any loop.

    Attributes:
        cause: What began it.
    """

    def __init__(self, cause: str, timetable: Timetable, clock: Callable[[], float]) -> None:
        self.cause = cause
        self.timetable = timetable
        self._clock = clock
        self.settle_passed: Moment[None] = Moment()
        self.deregistration_done: Moment[bool] = Moment()
        self.traffic_gone: Moment[None] = Moment()
        self.time_over: Moment[None] = Moment()

    def time_left(self) -> float:
        """Return how many seconds the drain can still wait; it may shrink at any moment."""
        return max(0.0, self.timetable.wait_until - self._clock())

    def main_time_left(self) -> float:
        """Return how many seconds main has left to stop in; it may shrink at any moment."""
        return max(0.0, self.timetable.main_until - self._clock())

    async def settled(self) -> None:
        """Wait until consumers have had `settle` seconds to notice: close what is idle now."""
        await self.settle_passed.wait()

    async def deregistered(self) -> bool:
        """Wait until every registry has been told; False if one has not confirmed in time."""
        return await self.deregistration_done.wait()

    async def idle(self) -> None:
        """Wait until settle has passed, nothing is in flight, and nothing arrives any more."""
        await self.traffic_gone.wait()

"""`Drain`: the argument of the hook `lifecycle_drain`."""

from __future__ import annotations

from collections.abc import Callable

from lifecycle.calls.moment import Moment
from lifecycle.drain.timetable import Timetable


class Drain:
    """
    A drain. The hook `lifecycle_drain` gets it as an argument. Use its methods on any event loop.

    Attributes:
        cause: The cause of the drain, for example `SIGTERM` or `preStop`.
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
        """Return the seconds that the drain can still wait. A later call may return much less."""
        return max(0.0, self.timetable.wait_until - self._clock())

    def main_time_left(self) -> float:
        """Return the seconds that `main` has left to stop. A later call may return much less."""
        return max(0.0, self.timetable.main_until - self._clock())

    async def settled(self) -> None:
        """Wait until `settle` is over. After that, close your idle connections."""
        await self.settle_passed.wait()

    async def deregistered(self) -> bool:
        """Wait for the deregistration. Returns False if a registry has not confirmed in time."""
        return await self.deregistration_done.wait()

    async def idle(self) -> None:
        """Wait until `settle` is over, no work is in flight, and no requests arrive any more."""
        await self.traffic_gone.wait()

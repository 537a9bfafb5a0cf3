"""`Drain` and `Stop`: the arguments of the hooks `lifecycle_drain` and `lifecycle_stop`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lifecycle.calls.moment import Moment
from lifecycle.drain.timetable import SettleTime, Timetable

RESERVE: Final = 0.05
"""Seconds by which a hook is told less than it has, so that one that uses all of it is in time."""


class Drain:
    """
    A drain. The hook `lifecycle_drain` gets it as an argument. Use its methods on any event loop.

    Attributes:
        cause: The cause of the drain, for example `SIGTERM` or `preStop`.
    """

    def __init__(
        self,
        cause: str,
        timetable: Timetable,
        clock: Callable[[], float],
        settle_time: SettleTime = SettleTime(0.0),  # noqa: B008 - it is immutable
    ) -> None:
        self.cause = cause
        self.settle_time = settle_time
        """The settle time, also if it is skipped."""
        self.timetable = timetable
        self._clock = clock
        self.settle_passed: Moment[None] = Moment()
        self.deregistration_done: Moment[bool] = Moment()
        self.traffic_gone: Moment[None] = Moment()
        self.time_over: Moment[None] = Moment()
        self.listened: float | None = None
        """Seconds after the drain start until the server has stopped listening, if known."""
        self.settle_factor = 1.0
        self.after_closing: int | None = None
        """Connections that were still in the accept queue when the listener closed, if known."""

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

    def stopped_listening(self, *, settle_factor: float = 1.0, late: int | None = None) -> None:
        """
        Report that your server accepts no new connections from now on. Call it from any thread.

        The drain report contains the time, and `lifecycle tune` uses it. Only the first call
        counts. You need this method only if your server stops listening before the drain is over.

        Args:
            settle_factor: How many times the propagation delay `settle` must be. For example 2, if
                your server renews each connection at half of `settle`.
            late: The connections that were still in the accept queue, if your server counts them.
        """
        if self.listened is None:
            self.listened = round(max(0.0, self._clock() - self.timetable.began), 3)
            self.settle_factor, self.after_closing = settle_factor, late


class Stop:
    """
    The end of `main`. The hook `lifecycle_stop` gets it as an argument. Use it on any thread.

    Attributes:
        code: The exit code so far. A second signal can still change it to 1.
        cause: The cause of the drain, for example `SIGTERM` or `main returned`.
    """

    def __init__(self, code: int, cause: str, left: Callable[[], float]) -> None:
        self.code = code
        self.cause = cause
        self._left = left

    @property
    def seconds_left(self) -> float:
        """The seconds that the hooks have left together. Each time you read it, it is less."""
        return max(0.0, self._left() - RESERVE)

"""
The drain's timetable, and the handle that hooks are given.

    T0              settle                 nothing in flight, quiet        grace − 0.5
    │ deregister      │ idle connections     │ answer preStop │ stop main    │
    ├─────────────────┼──────────────────────┼────────────────┼──────────────┤
    │ close: on every │ closed               │ until SIGTERM  │ QOS last     │ exit
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lifecycle.config import KILL_MARGIN, Config
from lifecycle.crossing import Moment

CANCEL_TIME: Final = 1.0
"""Seconds a cancelled main has to end."""
CLOSE_TIME: Final = 0.5
"""Seconds plugins and registries have to close; also what is left before the kubelet kills."""
HURRY: Final = 1.0
"""Seconds that are still waited when SIGTERM comes before preStop was answered."""


@dataclass(eq=False)
class Timetable:
    """
    Until when each part of the drain may take, on the control loop's clock.

    Attributes:
        began: T0.
        settle_at: When idle connections are closed.
        wait_until: Until when work in flight, the quiet and the hooks are waited for.
        main_until: Until when main may use the time it is given.
        cancel_until: Until when a cancelled main is waited for.
        exit_by: When the process is gone, whatever hangs.
    """

    began: float
    settle_at: float
    wait_until: float
    main_until: float
    cancel_until: float
    exit_by: float

    @classmethod
    def plan(cls, config: Config, now: float, *, settle: bool = True) -> Timetable:
        """Make the timetable of a drain that begins now."""
        end = now + config.grace_period
        return cls(
            began=now,
            settle_at=now + (config.settle if settle else 0.0),
            wait_until=end - config.stop_timeout - KILL_MARGIN,
            main_until=end - KILL_MARGIN,
            cancel_until=end - KILL_MARGIN + CANCEL_TIME,
            exit_by=end - CLOSE_TIME,
        )

    def hurry(self, now: float) -> None:
        """Make do with what the kubelet leaves after a preStop that outlived its time: 2 s."""
        self._cut(now, wait=HURRY, main=0.2, cancel=0.2, close=0.2)

    def force(self, now: float, *, deregister: float = 1.0) -> None:
        """Wait for nothing but the deregistration."""
        self._cut(now, wait=deregister, main=0.0, cancel=CANCEL_TIME, close=CLOSE_TIME)

    def _cut(self, now: float, *, wait: float, main: float, cancel: float, close: float) -> None:
        self.settle_at = min(self.settle_at, now)
        self.wait_until = min(self.wait_until, now + wait)
        # From now, not from a time that has passed: a cancelled main still gets its second.
        self.main_until = min(self.main_until, max(now, self.wait_until) + main)
        self.cancel_until = min(self.cancel_until, max(now, self.main_until) + cancel)
        self.exit_by = min(self.exit_by, max(now, self.cancel_until) + close)


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

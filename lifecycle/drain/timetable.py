"""
The drain's timetable.

    drain start     settle                 no work in flight, quiet        grace − 0.5
    │ deregister      │ idle connections     │ answer preStop │ stop main    │
    ├─────────────────┼──────────────────────┼────────────────┼──────────────┤
    │ close: on every │ closed               │ until SIGTERM  │ QOS last     │ exit
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lifecycle.config import KILL_MARGIN, Config

CANCEL_TIME: Final = 1.0
"""Seconds that a cancelled main has to end."""
CLOSE_TIME: Final = 0.5
"""Seconds that plugins and registries have to close. The same time is left before SIGKILL."""
HURRY: Final = 1.0
"""Seconds of further waiting if SIGTERM comes before `lifecycle prestop` has returned."""


@dataclass(eq=False)
class Timetable:
    """
    The time limits of a drain, on the control loop's clock.

    Attributes:
        began: The drain start.
        settle_at: The end of the settle time, when idle connections are closed.
        wait_until: The end of the wait for work in flight, the quiet period and the hooks.
        main_until: The end of the time that main has to stop.
        cancel_until: The end of the wait for a cancelled main.
        exit_by: The latest end of the process.
    """

    began: float
    settle_at: float
    wait_until: float
    main_until: float
    cancel_until: float
    exit_by: float

    @classmethod
    def plan(cls, config: Config, now: float, *, settle: bool = True) -> Timetable:
        """Make the timetable of a drain that starts now."""
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
        """Shorten the timetable to the 2 s that the kubelet leaves after a late preStop."""
        self._cut(now, wait=HURRY, main=0.2, cancel=0.2, close=0.2)

    def force(self, now: float, *, deregister: float = 1.0) -> None:
        """Shorten the timetable, so that only the deregistration is waited for."""
        self._cut(now, wait=deregister, main=0.0, cancel=CANCEL_TIME, close=CLOSE_TIME)

    def _cut(self, now: float, *, wait: float, main: float, cancel: float, close: float) -> None:
        self.settle_at = min(self.settle_at, now)
        self.wait_until = min(self.wait_until, now + wait)
        # From now and not from a past time, so that a cancelled main still gets 1 s.
        self.main_until = min(self.main_until, max(now, self.wait_until) + main)
        self.cancel_until = min(self.cancel_until, max(now, self.main_until) + cancel)
        self.exit_by = min(self.exit_by, max(now, self.cancel_until) + close)

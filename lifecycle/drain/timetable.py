"""
The drain's timetable.

    T0              settle                 nothing in flight, quiet        grace − 0.5
    │ deregister      │ idle connections     │ answer preStop │ stop main    │
    ├─────────────────┼──────────────────────┼────────────────┼──────────────┤
    │ close: on every │ closed               │ until SIGTERM  │ QOS last     │ exit
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lifecycle.config import KILL_MARGIN, Config

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

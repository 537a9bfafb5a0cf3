"""
The drain's timetable.

    drain start     settle                 no work in flight, quiet        grace − 0.5
    │ deregister      │ idle connections     │ answer preStop │ stop main    │
    ├─────────────────┼──────────────────────┼────────────────┼──────────────┤
    │ close: on every │ closed               │ until SIGTERM  │ QOS last     │ exit

If a plugin has a `lifecycle_stop` hook, main ends up to 1 s earlier. This second comes out of
`stop_timeout`, and nothing else becomes shorter. Without such a hook, main has all of it.
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
STOP_TIME: Final = 1.0
"""Seconds that the `lifecycle_stop` hooks have in any case, if `stop_timeout` is 2 s or more."""


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
        stop_until: The end of the time of the `lifecycle_stop` hooks.
        exit_by: The latest end of the process.
        stop_time: Seconds that these hooks have at most, even if main ends early.
    """

    began: float
    settle_at: float
    wait_until: float
    main_until: float
    cancel_until: float
    stop_until: float
    exit_by: float
    stop_time: float

    @classmethod
    def plan(
        cls, config: Config, now: float, *, settle: bool = True, stop_hooks: bool = False
    ) -> Timetable:
        """
        Make the timetable of a drain that starts now.

        Args:
            config: The settings.
            now: The time.
            settle: False to skip the settle time.
            stop_hooks: True if a plugin has a `lifecycle_stop` hook.
        """
        end = now + config.grace_period
        share = min(STOP_TIME, config.stop_timeout / 2) if stop_hooks else 0.0
        return cls(
            began=now,
            settle_at=now + (config.settle if settle else 0.0),
            wait_until=end - config.stop_timeout - KILL_MARGIN,
            main_until=end - KILL_MARGIN - share,
            cancel_until=end - KILL_MARGIN + CANCEL_TIME - share,
            stop_until=end - KILL_MARGIN + CANCEL_TIME,
            exit_by=end - CLOSE_TIME,
            stop_time=max(STOP_TIME, config.stop_timeout),
        )

    def hurry(self, now: float) -> None:
        """Shorten the timetable to the 2 s that the kubelet leaves after a late preStop."""
        stop = 0.2 if self._shared else 0.0
        self._cut(now, wait=HURRY - stop, main=0.2, cancel=0.2, stop=stop, close=0.2)
        self.stop_time = min(self.stop_time, 0.2)

    def force(self, now: float, *, deregister: float = 1.0) -> None:
        """Shorten the timetable, so that only the deregistration is waited for."""
        stop = STOP_TIME / 2 if self._shared else 0.0
        self._cut(now, wait=deregister, main=0.0, cancel=CANCEL_TIME, stop=stop, close=CLOSE_TIME)
        self.stop_time = min(self.stop_time, STOP_TIME)

    @property
    def _shared(self) -> bool:
        """True if `lifecycle_stop` hooks have a part of the time of main."""
        return self.stop_until > self.cancel_until

    def _cut(
        self, now: float, *, wait: float, main: float, cancel: float, stop: float, close: float
    ) -> None:
        self.settle_at = min(self.settle_at, now)
        self.wait_until = min(self.wait_until, now + wait)
        # From now and not from a past time, so that a cancelled main still gets 1 s.
        self.main_until = min(self.main_until, max(now, self.wait_until) + main)
        self.cancel_until = min(self.cancel_until, max(now, self.main_until) + cancel)
        self.stop_until = min(self.stop_until, max(now, self.cancel_until) + stop)
        self.exit_by = min(self.exit_by, max(now, self.stop_until) + close)

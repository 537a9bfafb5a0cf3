"""
The drain's timetable.

    drain start     settle                 no work in flight, quiet        grace − 0.5
    │ deregister      │ idle connections     │ answer preStop │ stop main    │
    ├─────────────────┼──────────────────────┼────────────────┼──────────────┤
    │ close: on every │ closed               │ until SIGTERM  │ QOS last     │ exit

If a registry has to forget addresses, it does so after the wait, and the wait ends 0.5 s earlier at
the latest. Without such a registry, the wait has all of its time.

If a plugin has a `lifecycle_stop` hook, main ends up to 1 s earlier. This second comes out of
`stop_timeout`, and nothing else becomes shorter. Without such a hook, main has all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from lifecycle.config import KILL_MARGIN, Config

CANCEL_TIME: Final = 1.0
"""Seconds that a cancelled main has to end."""
CLOSE_TIME: Final = 0.5
"""Seconds that plugins and registries have to close. The same time is left before SIGKILL."""
HURRY: Final = 1.0
"""Seconds of further waiting if SIGTERM comes before `lifecycle prestop` has returned."""
FORGET_TIME: Final = 0.5
"""Seconds that the registries have to forget addresses, even if the wait used all of its time."""
LONGEST_FORGET_TIME: Final = 2.0
"""Seconds that the registries have to forget addresses at most."""
STOP_TIME: Final = 1.0
"""Seconds that the `lifecycle_stop` hooks have in any case, if `stop_timeout` is 2 s or more."""


class SettleTime(NamedTuple):
    """
    A settle time.

    Attributes:
        seconds: The seconds that clients need to notice that an address is gone.
        registry: The name of the registry that needs them. Empty if this is the setting.
    """

    seconds: float
    registry: str = ""


@dataclass(eq=False)
class Timetable:
    """
    The time limits of a drain, on the control loop's clock.

    Attributes:
        began: The drain start.
        settle_at: The end of the settle time, when idle connections are closed.
        wait_until: The end of the wait for work in flight, the quiet period and the hooks.
        forget_until: The end of the wait for registries that forget. It is the deadline of the
            drain, and the same as `wait_until` if no registry forgets.
        main_until: The end of the time that main has to stop.
        cancel_until: The end of the wait for a cancelled main.
        stop_until: The end of the time of the `lifecycle_stop` hooks.
        exit_by: The latest end of the process.
        stop_time: Seconds that these hooks have at most, even if main ends early.
        deregister_until: The end of the wait for the deregistration.
        forget_time: Seconds that the registries have to forget.
    """

    began: float
    settle_at: float
    wait_until: float
    forget_until: float
    main_until: float
    cancel_until: float
    stop_until: float
    exit_by: float
    stop_time: float
    deregister_until: float
    forget_time: float

    @classmethod
    def plan(
        cls,
        config: Config,
        now: float,
        *,
        settle: float | None = None,
        stop_hooks: bool = False,
        forgets: bool = False,
    ) -> Timetable:
        """
        Make the timetable of a drain that starts now.

        Args:
            config: The settings.
            now: The time.
            settle: The seconds of the settle time. The default is the setting.
            stop_hooks: True if a plugin has a `lifecycle_stop` hook.
            forgets: True if a registry has to forget addresses.
        """
        end = now + config.grace_period
        share = min(STOP_TIME, config.stop_timeout / 2) if stop_hooks else 0.0
        forget_until = end - config.stop_timeout - KILL_MARGIN
        most = config.register_timeout
        reserve = min(FORGET_TIME, most / 2) if forgets else 0.0
        return cls(
            began=now,
            settle_at=now + (config.settle if settle is None else settle),
            wait_until=forget_until - reserve,
            forget_until=forget_until,
            main_until=end - KILL_MARGIN - share,
            cancel_until=end - KILL_MARGIN + CANCEL_TIME - share,
            stop_until=end - KILL_MARGIN + CANCEL_TIME,
            exit_by=end - CLOSE_TIME,
            stop_time=max(STOP_TIME, config.stop_timeout),
            deregister_until=now + most - reserve,
            forget_time=min(LONGEST_FORGET_TIME, most),
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

    def deregistered(self, now: float) -> None:
        """Limit the time to forget, so that both take at most `register_timeout` together."""
        reserve = self.forget_until - self.wait_until
        self.forget_time = min(self.forget_time, max(0.0, self.deregister_until - now) + reserve)

    @property
    def _shared(self) -> bool:
        """True if `lifecycle_stop` hooks have a part of the time of main."""
        return self.stop_until > self.cancel_until

    def _cut(
        self, now: float, *, wait: float, main: float, cancel: float, stop: float, close: float
    ) -> None:
        self.settle_at = min(self.settle_at, now)
        reserve = self.forget_until - self.wait_until
        self.forget_until = min(self.forget_until, now + wait)
        self.wait_until = min(self.wait_until, self.forget_until - reserve)
        # From now and not from a past time, so that a cancelled main still gets 1 s.
        self.main_until = min(self.main_until, max(now, self.forget_until) + main)
        self.cancel_until = min(self.cancel_until, max(now, self.main_until) + cancel)
        self.stop_until = min(self.stop_until, max(now, self.cancel_until) + stop)
        self.exit_by = min(self.exit_by, max(now, self.stop_until) + close)

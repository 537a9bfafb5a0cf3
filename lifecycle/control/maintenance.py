"""
Tells clients to go while every app service is offline, and takes it back.

Rules of this file:

1. From the moment at which the last service goes offline, clients are told to go, as in a drain.
   `settle` later, idle connections are closed, WebSockets and event streams are ended.
2. The maintenance ends when a service is online again, or when the drain starts and joins it.
3. The state of the app does not change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from lifecycle.calls.dispatch import Own
from lifecycle.calls.threads import run_soon
from lifecycle.calls.transitions import Transitions
from lifecycle.drain.hook_calls import HookCalls
from lifecycle.drain.in_flight import Traffic
from lifecycle.drain.offline import Offline
from lifecycle.exceptions import Draining
from lifecycle.log import Log
from lifecycle.states import State

if TYPE_CHECKING:
    from lifecycle.status_records import MaintenanceStatus

HINT: Final = (
    "Every app service is offline, so clients are told to close their connections. "
    "To serve again, bring a service online."
)


class Maintenance:
    """
    Sends clients away while every app service is offline. For the control loop.

    Args:
        life: The `Lifecycle` of the app, which is passed to the hooks.
        settle: Returns the propagation delay, in seconds.
        traffic: The traffic whose clients are told.
        transitions: The state machine, for the drain start.
        log: The log.

    Attributes:
        offline: Set while every app service is offline, also in a drain that has started then.
    """

    def __init__(
        self,
        *,
        life: object,
        settle: Callable[[], float],
        traffic: Traffic,
        transitions: Transitions,
        log: Log,
    ) -> None:
        self.offline: Offline | None = None
        self._hooks: list[Own] = []
        self._life = life
        self._settle = settle
        self._traffic = traffic
        self._transitions = transitions
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._running: asyncio.Task[None] | None = None
        self._calls = HookCalls("lifecycle_offline", log)
        self._calling: set[asyncio.Task[None]] = set()

    def install(self, call: Own) -> None:
        """Add a `lifecycle_offline` hook. It is called at once if every service is offline."""
        self._hooks.append(call)
        if self.offline is not None and not self._transitions.state.leaving:
            self._call([call], self.offline)

    def uninstall(self, registrations: Collection[object]) -> None:
        """Remove the hooks of a plugin."""
        self._hooks = [
            each for each in self._hooks if each.implementation.registration not in registrations
        ]

    def held(self, held: bool) -> None:  # noqa: FBT001 - the new value
        """Handle that the last service has gone offline, or that one is online again."""
        if self._transitions.state.leaving:
            return
        if held:
            now = self._loop.time()
            offline = self.offline = Offline(now, now + self._settle())
            self._traffic.send_away(partial(run_soon, self._loop), offline.settles_at)
            self._calling = set()
            self._running = self._loop.create_task(self._run(offline, self._calling))
            self._log.info("offline", hint=HINT)
        else:
            self.offline = None
            self._traffic.stay()
            if self._running is not None:
                self._running.cancel()
            self._log.info("online")

    async def _run(self, offline: Offline, calling: set[asyncio.Task[None]]) -> None:
        drain_start = self._transitions.reached[State.DRAINING]
        self._call(self._hooks, offline)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(offline.settles_at):
                    await drain_start.wait()
            if not self._transitions.state.leaving:
                self._traffic.settle()  # first, because servers read it
                offline.settle_passed.set(None)
                await drain_start.wait()
        except Draining:  # the app has ended
            pass
        finally:
            for each in calling:
                each.cancel()

    def _call(self, hooks: Sequence[Own], offline: Offline) -> None:
        call = self._loop.create_task(self._calls.run(hooks, life=self._life, offline=offline))
        self._calling.add(call)
        call.add_done_callback(self._calling.discard)

    def status(self, now: float) -> MaintenanceStatus | None:
        """Return the maintenance as `/status` shows it."""
        if self.offline is None:
            return None
        return {
            "elapsed": round(now - self.offline.began, 3),
            "settled": self._traffic.ends_idle,
        }

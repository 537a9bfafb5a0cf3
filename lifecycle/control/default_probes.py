"""The plugins with the built-in probes: state, services, and event loop of the app."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from contextlib import suppress

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.moment import Moment
from lifecycle.contracts import ProbeResult, inline
from lifecycle.control.services import SHOWN, Services, some
from lifecycle.hookspecs import hookimpl
from lifecycle.states import State, Transition


class StateProbes:
    """Startup: the app has been READY. Readiness: it is READY. Liveness: it has not ended."""

    def __init__(self) -> None:
        self._state = State.STARTING
        self._was_ready = False

    @hookimpl
    @inline
    def lifecycle_transition(self, transition: Transition) -> None:
        """Store the state."""
        self._state = transition.after
        self._was_ready |= transition.after is State.READY

    @hookimpl
    @inline
    def lifecycle_startup(self) -> ProbeResult:
        """Pass if the app has been READY."""
        return ProbeResult(self._was_ready, f"the state is {self._state}")

    @hookimpl
    @inline
    def lifecycle_readiness(self) -> ProbeResult:
        """Pass if the app is READY."""
        return ProbeResult(self._state is State.READY, f"the state is {self._state}")

    @hookimpl
    @inline
    def lifecycle_liveness(self) -> ProbeResult:
        """Pass if the app has not ended."""
        ended = self._state in (State.STOPPED, State.FAILED)
        return ProbeResult(not ended, f"the state is {self._state}")


class ServiceProbe:
    """
    Readiness: if there are services, at least one is online and acknowledged.

    After READY, the probe waits for an acknowledgement that is on its way. A client that has
    already seen the registration in the registry may ask `/ready` before the registry's answer
    reaches the app. For example, the kubelet asks when the readiness gate becomes true, and asks
    again only after `periodSeconds`.

    Args:
        services: The table of services.
        patience: Seconds that the probe waits for an acknowledgement.
    """

    def __init__(self, services: Services, patience: float) -> None:
        self._services = services
        self._patience = patience
        self._ready = False

    @hookimpl
    @inline
    def lifecycle_transition(self, transition: Transition) -> None:
        """Store whether the app is READY."""
        self._ready = transition.after is State.READY

    @hookimpl
    @inline
    def lifecycle_readiness(self) -> ProbeResult | Awaitable[ProbeResult]:
        """Look at the table of services."""
        result = self._look()
        if result.ok or not self._ready or not self._services.asking:
            return result
        return self._look_again()

    async def _look_again(self) -> ProbeResult:
        services = self._services
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                await services.until(lambda: bool(services.serving) or not services.asking)
        return self._look()

    def _look(self) -> ProbeResult:
        entries, serving = self._services.entries, self._services.serving
        if not entries:
            return ProbeResult(ok=True, reason="no services")
        if serving:
            names = (entry.instance.service for entry in serving.first(SHOWN))
            return ProbeResult(ok=True, reason=f"serving {some(names, len(serving))}")
        away = (
            f"{name} {entry.missing() if entry.online else 'offline'}"
            for name, entry in entries.items()
        )
        return ProbeResult(ok=False, reason=some(away, len(entries)))


class LoopProbe:
    """
    Liveness and readiness fail if the app is READY and its event loop has no recent heartbeat.

    Args:
        app_loop: The app's loop.
        live_limit: Seconds without a heartbeat after which liveness fails. 0 means never.
        ready_limit: Seconds without a heartbeat after which readiness fails. 0 means the same
            limit as for liveness.
        patience: Seconds that the probe waits for one more heartbeat before it fails. If the
            whole process was stopped for a while, the probe may run before the next heartbeat.
    """

    def __init__(
        self, app_loop: AppLoop, live_limit: float, ready_limit: float, patience: float
    ) -> None:
        self._app_loop = app_loop
        self._patience = patience
        self._silent_since = -math.inf
        self._live_limit = live_limit or math.inf
        self._ready_limit = min(ready_limit or math.inf, self._live_limit)
        self._watching = False

    @hookimpl
    @inline
    def lifecycle_transition(self, transition: Transition) -> None:
        """Watch only while READY. An app may block at its start, and is not killed in a drain."""
        self._watching = transition.after is State.READY

    @hookimpl
    @inline
    def lifecycle_liveness(self) -> ProbeResult | Awaitable[ProbeResult]:
        """Look at the age of the last heartbeat."""
        return self._look(self._live_limit)

    @hookimpl
    @inline
    def lifecycle_readiness(self) -> ProbeResult | Awaitable[ProbeResult]:
        """Look at the age of the last heartbeat, because a blocked app serves no requests."""
        return self._look(self._ready_limit)

    def _look(self, limit: float) -> ProbeResult | Awaitable[ProbeResult]:
        found = self._verdict(limit)
        if found.ok or self._app_loop.beat_at == self._silent_since:
            return found
        return self._look_again(limit)

    async def _look_again(self, limit: float) -> ProbeResult:
        last = self._app_loop.beat_at
        beaten: Moment[None] = Moment()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                if self._app_loop.beat_soon(lambda: beaten.set(None)):
                    await beaten.wait()
        if not beaten.happened:
            self._silent_since = last  # do not wait again for this heartbeat
        return self._verdict(limit)

    def _verdict(self, limit: float) -> ProbeResult:
        age = self._app_loop.silent_for()
        ok = not self._watching or age <= limit
        return ProbeResult(ok, f"the app's loop was last seen {age:.1f} s ago")

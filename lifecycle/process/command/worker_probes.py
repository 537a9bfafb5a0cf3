"""The probes of a command's workers, and what a drain sends to the workers."""

from __future__ import annotations

import math
from typing import Any

from lifecycle.calls.app_loop import AppLoop
from lifecycle.contracts import ProbeResult
from lifecycle.hookspecs import hookimpl
from lifecycle.instrumentation.lifecycle_worker.board import Slot
from lifecycle.process.command.workers import Workers
from lifecycle.states import State, Transition


class WorkerProbes:
    """
    Liveness, readiness and the drain of the workers, as a plugin.

    Args:
        workers: The workers.
        app_loop: Our own loop. While it is blocked too, no worker is reported.
        live_limit: Seconds without progress in all workers after which liveness fails, or 0 for
            never.
        ready_limit: Seconds without progress in all workers after which readiness fails,
            or 0 to fail together with liveness.
    """

    def __init__(
        self, workers: Workers, app_loop: AppLoop, live_limit: float, ready_limit: float
    ) -> None:
        self._workers = workers
        self._app_loop = app_loop
        self._live_limit = live_limit or math.inf
        self._ready_limit = min(ready_limit or math.inf, self._live_limit)
        self._ready = False

    @hookimpl
    async def lifecycle_transition(self, transition: Transition) -> None:
        """Check progress in READY only, because a worker may block while it starts or drains."""
        self._ready = transition.after is State.READY

    @hookimpl
    async def lifecycle_liveness(self) -> ProbeResult | None:
        """Return whether at least one worker makes progress."""
        self._workers.look()
        serving = self._workers.serving_now()
        return self._progress(serving, self._live_limit) if serving else None

    @hookimpl
    async def lifecycle_readiness(self) -> ProbeResult | None:
        """Return whether at least one worker serves."""
        self._workers.look()
        serving = self._workers.serving_now()
        if not serving:
            if not self._ready or not self._workers.serving.is_set():
                return None  # no worker has served yet, or none can report it
            return ProbeResult(ok=False, reason="no worker serves")
        return self._progress(serving, self._ready_limit)

    @hookimpl
    async def lifecycle_drain(self, drain: Any) -> None:
        """Send the workers the time at which they close idle connections."""
        self._workers.settles_at(drain.timetable.settle_at)
        await drain.settled()
        self._workers.settles_at(min(drain.timetable.settle_at, self._workers.now()))

    def _progress(self, serving: list[Slot], limit: float) -> ProbeResult:
        now = self._workers.now()
        most = max(0.0, now - self._app_loop.awake_since())
        stalls = [min(most, slot.stalled_for(now)) for slot in serving]
        stalled = sum(stall > limit for stall in stalls)
        ok = not self._ready or stalled < len(serving)
        count = f"{len(serving) - stalled} of {len(serving)} workers make progress"
        return ProbeResult(ok, f"{count} ({min(stalls):.1f} s ago)")

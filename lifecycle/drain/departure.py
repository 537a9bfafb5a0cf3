"""
Starts a drain, lets later causes join it, and holds its facts until the end.

Rules of this file:

1. The drain starts with the first of these causes: a signal (see `signals.py`), preStop,
   `begin_drain`, or the end of main. All later causes join the same drain.
2. `order.py` has the order of the steps. The code here has the facts on which this order depends.
3. Every wait ends by the timetable, and is planned again when the timetable becomes shorter.
4. Nothing is imported after the drain start, because the app may have no free descriptors, or be
   inside an import.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from lifecycle.calls.moment import Moment
from lifecycle.calls.threads import run_soon
from lifecycle.drain.actions import DrainActions, Hooks
from lifecycle.drain.drain import Drain
from lifecycle.drain.driver import Driver
from lifecycle.drain.exit_code import Ending, exit_code
from lifecycle.drain.host import Parts
from lifecycle.drain.order import ORDER, Terms
from lifecycle.drain.report import Report, held_up_by, may_be_queued, told
from lifecycle.drain.timetable import Timetable
from lifecycle.links import help_page
from lifecycle.states import Event, State

if TYPE_CHECKING:
    from lifecycle.status_records import DrainStatus

ONE_PRESS: Final = 0.25
"""Seconds within which two signals count as one, for example from a terminal and a supervisor."""
LOOK_TIME: Final = 0.5
"""Seconds before the end of a wait in which other processes answer where their work stands."""
FORGET_SHOWN: Final = 5
"""Addresses still to be forgotten that `/status` names."""
PRESSED: Final = ("SIGINT", "SIGQUIT")
"""Signals that a person sends with a key: Ctrl-C, Ctrl-\\."""


class Departure:
    """
    Drains and ends one app. For the control loop. `exit_code` may be read from any thread.

    Args:
        parts: The parts that the departure uses.

    Attributes:
        drain: The drain. None before the drain start.
        report: The report of the drain.
        ending: The end of main. None before.
        hooks: The hooks of the drain: `lifecycle_drain` and `lifecycle_stop`.
        wait_over: The event after which `lifecycle prestop` returns.
        drained: The event that the drain is over.
        ended_by_itself: True if the end of main is the cause of the drain.
    """

    def __init__(self, parts: Parts) -> None:
        self.drain: Drain | None = None
        self.report = Report()
        self.ending: Ending | None = None
        self.hooks = Hooks(parts.log)
        self.wait_over: Moment[None] = Moment()
        self.drained: Moment[None] = Moment()
        self.ended_by_itself = False
        self._parts = parts
        self._driver = Driver(ORDER)
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self._began: asyncio.Future[Drain] = self._loop.create_future()
        self._signal_at = -math.inf
        self._prestops = 0
        self._decided: int | None = None

    # What begins a drain, or joins it

    def begin(self, cause: str, *, settle: bool = True, quiet: bool = True) -> None:
        """Start the drain, or join the one that is running."""
        parts = self._parts
        if self.drain is not None:
            if parts.host.joining_is_the_signal:
                self._driver.note(signalled=True)
            return
        now = self._clock()
        if parts.transitions.state is not State.READY and parts.registrations.all_out:
            settle = quiet = False  # no client can have found the app yet
        settle_time = parts.registrations.settle
        timetable = Timetable.plan(
            parts.config,
            now,
            settle=settle_time.seconds if settle else 0.0,
            stop_hooks=bool(self.hooks.stop),
            forgets=not parts.registrations.all_forgotten,
        )
        self.drain = Drain(cause, timetable, self._clock, settle_time)
        parts.traffic.late_arrivals.begin(now, parts.registrations.ports())
        parts.traffic.watch(partial(run_soon, self._loop), now if quiet else -math.inf)
        self._began.set_result(self.drain)
        parts.transitions.fire(Event.DRAIN, cause)
        parts.host.planned(timetable)
        parts.log.prepare()

    def signal(self, name: str, *, terminal: bool) -> None:
        """Handle a signal. The first one starts the drain, a second one forces the end."""
        now = self._clock()
        if not self.pressed_again() or self._decided is not None:
            return  # a repeated signal, or too late because the exit code is decided
        second = self.signalled
        self._signal_at = now
        self._driver.note(signalled=True)
        self._parts.log.info("signal", signal=name, second=second)
        if self.drain is None:
            hasty = terminal and name in PRESSED
            self.begin(name, settle=not hasty, quiet=not hasty)
        elif second:
            self.force()
        elif self._prestops and not self.wait_over.happened:
            self.drain.timetable.hurry(now)
        self._replan()

    def force(self) -> None:
        """End the drain now. Only the deregistration still gets 1 s."""
        if self.drain is not None and self._decided is None:
            self.report.forced = True
            self._driver.note(forced=True)
            self.drain.timetable.force(self._clock())
            self.drain.time_over.set(None)
            self._replan()

    def pressed_again(self) -> bool:
        """Return True if a signal that comes now counts as a new one. From any thread."""
        return self._clock() - self._signal_at >= ONE_PRESS

    def main_ended(self, ending: Ending, cause: str) -> None:
        """Handle the end of main. The settle time and the quiet period are then skipped."""
        self.ending = ending
        self.ended_by_itself = self.drain is None
        self._driver.note(main_over=True)
        self.begin(cause)
        if self.drain is not None:
            timetable = self.drain.timetable
            timetable.settle_at = min(timetable.settle_at, self._clock())
        self._parts.traffic.forget_arrivals()
        self._replan()

    async def prestop(self, gone: Callable[[], Awaitable[None]]) -> None:
        """Drain for a preStop call. Returns when it may be answered, or its caller disconnects."""
        self._driver.note(prestop=True)
        if self.drain is None:
            self.begin("preStop")
        self._prestops += 1
        waits = {
            asyncio.ensure_future(gone()),
            asyncio.ensure_future(self.wait_over.wait()),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._prestops -= 1
            for each in waits:
                each.cancel()

    def over(self, error: Exception) -> None:
        """Report the end. All waiters get the error."""
        self.drained.fail(error)
        self.wait_over.set(None)

    # From T0 to the end

    async def run(self) -> None:
        """Wait for the drain start, and take all steps, with the watchers in parallel."""
        drain, parts = await self._began, self._parts
        watchers = [
            asyncio.create_task(watch(drain), name=watch.__name__)
            for watch in (
                self._watch_settle,
                self._watch_traffic,
                self._watch_deregistration,
                self._watch_time,
                self._watch_elsewhere,
            )
        ]
        for each in watchers:
            each.add_done_callback(self._watched)
        terms = Terms(parts.config.register_timeout, parts.host.cancels_main)
        actions = DrainActions(
            parts,
            drain,
            self.report,
            terms=terms,
            note=self._driver.note,
            hooks=self.hooks,
            wait_over=self.wait_over,
            drained=self.drained,
            so_far=lambda: self.exit_code,
            decide=self._decide,
        )
        try:
            await self._driver.run(actions, drain.timetable, terms, self._mark)
        finally:
            drain.deregistration_done.set(parts.registrations.all_out)
            for each in watchers:
                each.cancel()

    def _watched(self, watcher: asyncio.Task[None]) -> None:
        if not watcher.cancelled() and (error := watcher.exception()) is not None:
            problem = f"{type(error).__name__}: {error}"
            self._parts.log.error(
                "drain",
                step=watcher.get_name(),
                problem=problem,
                see=help_page("error-inside-pod-lifecycle"),
            )

    async def _watch_settle(self, drain: Drain) -> None:
        await self._driver.by(asyncio.Event().wait(), lambda: drain.timetable.settle_at)
        self._parts.traffic.settle()  # first, because servers read it
        drain.settle_passed.set(None)
        self._mark("settle")

    async def _watch_traffic(self, drain: Drain) -> None:
        parts = self._parts
        await parts.traffic.gone(
            not_before=lambda: drain.timetable.settle_at,
            quiet=parts.config.quiet,
            app=parts.app_loop,
            queued=lambda: may_be_queued(parts.registrations),
        )
        drain.traffic_gone.set(None)
        self._mark("quiet")

    async def _watch_deregistration(self, drain: Drain) -> None:
        registrations, plan = self._parts.registrations, drain.timetable
        done = await self._driver.by(
            registrations.until(lambda: registrations.all_out), lambda: plan.deregister_until
        )
        plan.deregistered(self._clock())
        self._driver.note(deregistered=True)
        drain.deregistration_done.set(done)
        self._mark("deregister")

    async def _watch_time(self, drain: Drain) -> None:
        await self._driver.by(asyncio.Event().wait(), lambda: drain.timetable.wait_until)
        drain.time_over.set(None)

    async def _watch_elsewhere(self, drain: Drain) -> None:
        """Ask other processes where their work stands, shortly before each time at which it ends."""
        plan, traffic = drain.timetable, self._parts.traffic
        for until in (lambda: plan.wait_until - LOOK_TIME, lambda: plan.main_until - LOOK_TIME):
            await self._driver.by(asyncio.Event().wait(), until)
            await traffic.elsewhere.locate()

    def _replan(self) -> None:
        self._driver.replan()
        self._parts.traffic.nudge()
        if self.drain is not None:
            self._parts.host.planned(self.drain.timetable)

    def _mark(self, step: str) -> None:
        if self.drain is not None:
            elapsed = self._clock() - self.drain.timetable.began
            self.report.steps.setdefault(step, round(elapsed, 3))

    def _decide(self) -> int:
        self._decided = self.exit_code
        return self._decided

    # What is so

    @property
    def signalled(self) -> bool:
        """True once a signal has come. From any thread."""
        return self._driver.facts.signalled

    @property
    def terminating(self) -> bool:
        """True if the end was requested from outside, so that a grace period is running."""
        return self._driver.facts.prestop or self.signalled

    @property
    def stubborn(self) -> bool:
        """True if a task has ignored its cancellation, so that it cannot be ended."""
        return self.report.stubborn

    @property
    def exit_code(self) -> int:
        """The exit code at this moment. From STOPPED or FAILED on, it does not change."""
        if self._decided is not None:
            return self._decided
        report = self.report
        return exit_code(self.ending, forced=report.forced, cut_off=bool(report.cut_off))

    def snapshot(self, now: float) -> DrainStatus | None:
        """Return the drain as `/status` shows it."""
        if self.drain is None:
            return None
        timetable, parts = self.drain.timetable, self._parts
        return {
            "step": self._driver.step,
            "cause": self.drain.cause,
            "deadline": round(max(0.0, timetable.wait_until - now), 3),
            "elapsed": round(now - timetable.began, 3),
            "steps": dict(self.report.steps),
            "waiting_for": self._waits_for(),
            "disturbed_by": told(parts.traffic.last_disturbers),
            **parts.traffic.arrivals(),
            "listened": self.drain.listened,
            "after_closing": self.drain.after_closing,
            "cut_off": [*self.report.cut_off],
        }

    def _waits_for(self) -> list[str]:
        parts = self._parts
        if self.wait_over.happened:
            return told(self.hooks.stopping.names)
        if self._driver.step == "forget":
            names = parts.registrations.not_forgotten()
            more = [f"{len(names) - FORGET_SHOWN:,} more"] if len(names) > FORGET_SHOWN else []
            return [*(f"forget {each}" for each in names[:FORGET_SHOWN]), *more]
        found = told(held_up_by, parts.app_loop, parts.traffic, parts.registrations)
        return found + told(self.hooks.draining.names)

"""
From T0 to the end: the order in which an app leaves without losing a request.

Rules of this file:

1. T0 is the first of a signal (`signals.py` has which), preStop, `begin_drain` and main's
   end; all later ones join the same drain.
2. Every wait ends by the timetable, and is planned anew when the timetable shrinks.
3. Whatever hangs is named in the report; nothing that hangs is waited for twice.
4. Nothing is imported from T0 on: the app may be out of descriptors, or inside an import.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.dispatch import Own
from lifecycle.calls.moment import Moment
from lifecycle.calls.stacks import Straggler
from lifecycle.calls.threads import run_soon
from lifecycle.calls.transitions import Transitions
from lifecycle.config import Config
from lifecycle.drain.ending import CUT_OFF, FORCED, INTERRUPTED, Ending
from lifecycle.drain.handle import Drain
from lifecycle.drain.host import Host, Registrations
from lifecycle.drain.report import Report, held_up_by, in_flight, may_be_queued, stands, told
from lifecycle.drain.timetable import CLOSE_TIME, Timetable
from lifecycle.drain.traffic import Traffic
from lifecycle.log import Log
from lifecycle.states import Event, State

if TYPE_CHECKING:
    from lifecycle.status import DrainStatus

ONE_PRESS: Final = 0.25
"""Seconds within which two signals are one (a terminal, a supervisor, both at once)."""
PRESSED: Final = ("SIGINT", "SIGQUIT")
"""What a person sends by a key: Ctrl-C, Ctrl-\\."""
SIGNAL_FOLLOWS: Final = 1.0
"""Seconds that SIGTERM has, after preStop was answered late, before we stop without it."""
CLEAR_UP_TIME: Final = 0.2
"""Seconds that tasks left behind by main have at least, when main itself has used up its time."""


class Departure:
    """
    Leads one app out. Lives on the control loop; `exit_code` may be read from any thread.

    Args:
        host: Who runs main.
        life: The app's handle, which the hooks are given.
        config: The settings.
        transitions: Fired at T0 and at the end.
        registrations: What is to be withdrawn.
        app_loop: The loop that main runs on.
        traffic: What is in flight.
        log: Told of signals, of what fails, and of how it went.
        close: Closes the rest, in so many seconds.

    Attributes:
        hooks: The `lifecycle_drain` hooks, called at T0.
        ended_by_itself: True if nothing but main's own end has begun the drain.
        stubborn: True if something has ignored its cancellation: it cannot be torn down.
    """

    def __init__(
        self,
        host: Host,
        *,
        life: object,
        config: Config,
        transitions: Transitions,
        registrations: Registrations,
        app_loop: AppLoop,
        traffic: Traffic,
        log: Log,
        close: Callable[[float], Awaitable[None]],
    ) -> None:
        self.drain: Drain | None = None
        self.report = Report()
        self.ending: Ending | None = None
        self.wait_over: Moment[None] = Moment()
        self.drained: Moment[None] = Moment()
        self.hooks: list[Own] = []
        self.ended_by_itself = False
        self.stubborn = False
        self._host = host
        self._life = life
        self._config = config
        self._transitions = transitions
        self._registrations = registrations
        self._app_loop = app_loop
        self._traffic = traffic
        self._log = log
        self._close = close
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self._began: asyncio.Future[Drain] = self._loop.create_future()
        self._forced = asyncio.Event()
        self._signalled = asyncio.Event()
        self._main_over = asyncio.Event()
        self._planned: dict[asyncio.Timeout, Callable[[], float]] = {}
        self._signal_at = -math.inf
        self._prestops = 0
        self._prestop_seen = False
        self._step = ""
        self._decided: int | None = None

    # What begins a drain, or joins it

    def begin(self, cause: str, *, settle: bool = True, quiet: bool = True) -> None:
        """Begin the drain, or join the one that is under way."""
        if self.drain is not None:
            if self._host.joining_is_the_signal:
                self._signalled.set()
            return
        now = self._clock()
        if self._transitions.state is not State.READY and self._registrations.all_out:
            settle = quiet = False  # nobody can have found us yet
        timetable = Timetable.plan(self._config, now, settle=settle)
        self.drain = Drain(cause, timetable, self._clock)
        self._traffic.watch(partial(run_soon, self._loop), now if quiet else -math.inf)
        self._began.set_result(self.drain)
        self._transitions.fire(Event.DRAIN, cause)
        self._host.planned(timetable)
        self._log.prepare()

    def signal(self, name: str, *, terminal: bool) -> None:
        """Take a signal: the first one drains, a second one forces."""
        now = self._clock()
        if not self.pressed_again() or self._step == "close":
            return  # a bounce; or too late, how it ended is decided and told
        second = self._signalled.is_set()
        self._signal_at = now
        self._signalled.set()
        self._log.info("signal", signal=name, second=second)
        if self.drain is None:
            hasty = terminal and name in PRESSED
            self.begin(name, settle=not hasty, quiet=not hasty)
        elif second:
            self.force()
        elif self._prestops and not self.wait_over.happened:
            self.drain.timetable.hurry(now)
        self._replan()

    def force(self) -> None:
        """Wait for nothing more; the deregistration gets a second."""
        if self.drain is not None and self._step != "close":
            self.report.forced = True
            self._forced.set()
            self.drain.timetable.force(self._clock())
            self._replan()

    def pressed_again(self) -> bool:
        """Tell whether a signal that comes now is another one; from any thread."""
        return self._clock() - self._signal_at >= ONE_PRESS

    def main_ended(self, ending: Ending, cause: str) -> None:
        """Take note that main is over; settle and quiet have lost their sense with it."""
        self.ending = ending
        self.ended_by_itself = self.drain is None
        self._main_over.set()
        self.begin(cause)
        if self.drain is not None:
            timetable = self.drain.timetable
            timetable.settle_at = min(timetable.settle_at, self._clock())
        self._traffic.forget_arrivals()
        self._replan()

    async def prestop(self, gone: Callable[[], Awaitable[None]]) -> None:
        """Drain because preStop says so; returns when it may be answered, or its caller left."""
        self._prestop_seen = True
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
        """Take note that nothing comes any more: whoever waits is told."""
        self.drained.fail(error)
        self.wait_over.set(None)

    # The order of the drain

    async def run(self) -> None:
        """Wait for T0, drain, see main out, and say how it went."""
        drain = await self._began
        watchers = [
            asyncio.create_task(watch(drain), name=watch.__name__)
            for watch in (self._watch_settle, self._watch_traffic, self._watch_deregistration)
        ]
        for each in watchers:
            each.add_done_callback(self._watched)
        try:
            await self._wait(drain)
            await self._await_signal(drain)
            drain.settle_passed.set(None)
            drain.traffic_gone.set(None)
            self._host.stop_main()  # first: in whatever order main then ends, it has been told
            self.drained.set(None)
            await self._stop(drain)
        finally:
            drain.deregistration_done.set(self._registrations.all_out)
            for each in watchers:
                each.cancel()

    def _watched(self, watcher: asyncio.Task[None]) -> None:
        if not watcher.cancelled() and (error := watcher.exception()) is not None:
            problem = f"{type(error).__name__}: {error}"
            self._log.error("drain", step=watcher.get_name(), problem=problem)

    async def _watch_settle(self, drain: Drain) -> None:
        await self._by(asyncio.Event().wait(), lambda: drain.timetable.settle_at)
        drain.settle_passed.set(None)
        self._mark("settle")

    async def _watch_traffic(self, drain: Drain) -> None:
        await self._traffic.gone(
            not_before=lambda: drain.timetable.settle_at,
            quiet=self._config.quiet,
            app=self._app_loop,
            queued=lambda: may_be_queued(self._registrations.ports()),
        )
        drain.traffic_gone.set(None)
        self._mark("quiet")

    async def _watch_deregistration(self, drain: Drain) -> None:
        registrations = self._registrations
        until = drain.timetable.began + self._config.register_timeout
        done = await self._by(registrations.until(lambda: registrations.all_out), lambda: until)
        drain.deregistration_done.set(done)
        self._mark("deregister")

    async def _wait(self, drain: Drain) -> None:
        self._step = "wait"
        in_time = await self._by(self._hooks_or_force(drain), lambda: drain.timetable.wait_until)
        if not in_time:
            self.report.disturbed_by = told(self._traffic.last_disturbers)
            self.report.waited_for = self._held_up_by()
        self._mark("wait")
        self.wait_over.set(None)

    async def _hooks_or_force(self, drain: Drain) -> None:
        hooks = asyncio.ensure_future(self._hooks(drain))
        forced = asyncio.ensure_future(self._forced_and_deregistered(drain))
        try:
            await asyncio.wait({hooks, forced}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hooks.cancel()
            forced.cancel()

    async def _hooks(self, drain: Drain) -> None:
        async with asyncio.TaskGroup() as group:
            for call in self.hooks:
                group.create_task(self._hook(call, drain))

    async def _forced_and_deregistered(self, drain: Drain) -> None:
        await self._forced.wait()
        await drain.deregistered()

    async def _hook(self, call: Own, drain: Drain) -> None:
        outcome = await call(life=self._life, drain=drain)
        if problem := outcome.problem():
            self._log.warning("plugin", plugin=call.plugin, problem=f"lifecycle_drain {problem}")

    async def _await_signal(self, drain: Drain) -> None:
        # PID 1 leaving under a running preStop is a FailedPreStopHook: stay until SIGTERM.
        if not self._prestop_seen or self._signalled.is_set():
            return
        self._step = "signal"
        answered = self._clock()
        timetable = drain.timetable
        await self._by(
            self._signalled.wait(),
            lambda: min(max(timetable.wait_until, answered + SIGNAL_FOLLOWS), timetable.main_until),
        )
        self._mark("signal")

    async def _stop(self, drain: Drain) -> None:
        self._step = "stop"
        timetable = drain.timetable
        registrations = self._registrations
        registrations.withdraw()  # without the drain handler nobody has; main has time yet
        if not await self._by(self._main_over.wait(), self._main_until(timetable)):
            # Before it is cancelled: afterwards it stands in its own clearing up.
            name, self.report.stuck_at = stands(self._host.straggler)
            self.report.cut_off.append(f"{name}, which had not ended in time")
            self._host.cancel_main()
            if not await self._by(self._main_over.wait(), lambda: timetable.cancel_until):
                self.stubborn = True
                self.report.cut_off.append(f"{name}, which did not end when it was cancelled")
        await self._by(
            self._traffic.nothing_in_flight(),
            lambda: timetable.began if self.report.forced else timetable.main_until,
        )
        self.report.cut_off += told(in_flight, self._traffic)
        await self._by(
            registrations.until(lambda: registrations.all_out),
            lambda: min(timetable.began + self._config.register_timeout, timetable.wait_until),
        )
        await self._clear_up(timetable)
        self._mark("stop")
        self._step = "close"
        code = self._decided = self.exit_code
        end = Event.STOP if code in (0, INTERRUPTED) else Event.FAIL
        self._transitions.fire(end, f"exit code {code}")
        await self._close(self._close_time(timetable))
        self._mark("close")
        self.report.say(self._log, registrations, drain.cause, code, counted=self._traffic.in_use)

    def _held_up_by(self) -> list[str]:
        return told(held_up_by, self._app_loop, self._traffic, self._registrations.ports())

    async def _clear_up(self, timetable: Timetable) -> None:
        if not self._main_over.is_set():
            return
        until = self._clock() + CLEAR_UP_TIME
        if not await self._by(self._host.clear_up(), lambda: max(timetable.cancel_until, until)):
            left = self._host.left_behind()
            left = left or [Straggler("the app's loop", self._app_loop.stack())]
            self.stubborn = True
            names = ", ".join(each.name for each in left)
            self.report.cut_off.append(f"{names}: ignored the cancellation")
            self.report.stuck_at = self.report.stuck_at or left[0].stack

    def _close_time(self, timetable: Timetable) -> float:
        if not self._host.ends_in_time:
            return CLOSE_TIME
        # Not to the last moment: the port is to be closed too, before the watchdog comes.
        left = timetable.exit_by - self._clock()
        return min(CLOSE_TIME, max(0.1, left - 0.1))

    def _main_until(self, timetable: Timetable) -> Callable[[], float]:
        return lambda: timetable.main_until if self._host.cancels_main else math.inf

    # Deadlines, the exit code, the report

    async def _by(self, work: Awaitable[Any], until: Callable[[], float]) -> bool:
        """Await something until a time of the timetable; False if that time came first."""
        done = False
        timer = asyncio.timeout_at(_when(until))
        try:
            async with timer:
                self._planned[timer] = until
                try:
                    await work
                    done = True
                finally:
                    del self._planned[timer]
        except TimeoutError:
            if not timer.expired():
                raise
        return done

    def _replan(self) -> None:
        for timer, until in self._planned.items():
            if not timer.expired():
                timer.reschedule(_when(until))
        self._traffic.nudge()
        if self.drain is not None:
            self._host.planned(self.drain.timetable)

    @property
    def signalled(self) -> bool:
        """True once a signal has come; from any thread."""
        return self._signalled.is_set()

    @property
    def terminating(self) -> bool:
        """True if somebody outside wants this process gone, and a grace period runs."""
        return self._prestop_seen or self._signalled.is_set()

    @property
    def exit_code(self) -> int:
        """The exit code, if it ended now; from STOPPED or FAILED on it stays."""
        if self._decided is not None:
            return self._decided
        if self.report.forced:
            return FORCED
        if self.ending is not None and self.ending.code:
            return self.ending.code
        if self.report.cut_off or self.ending is None:
            return CUT_OFF
        return INTERRUPTED if self.ending.interrupted else 0

    def _mark(self, step: str) -> None:
        if self.drain is not None:
            elapsed = self._clock() - self.drain.timetable.began
            self.report.steps.setdefault(step, round(elapsed, 3))

    def snapshot(self, now: float) -> DrainStatus | None:
        """Return what `/status` shows of the drain."""
        if self.drain is None:
            return None
        timetable = self.drain.timetable
        return {
            "step": self._step,
            "cause": self.drain.cause,
            "deadline": round(max(0.0, timetable.wait_until - now), 3),
            "elapsed": round(now - timetable.began, 3),
            "steps": dict(self.report.steps),
            "waiting_for": self._held_up_by() if self._step == "wait" else [],
            "disturbed_by": told(self._traffic.last_disturbers),
        }


def _when(until: Callable[[], float]) -> float | None:
    deadline = until()
    return None if math.isinf(deadline) else deadline

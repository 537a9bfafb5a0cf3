"""The actions of a drain: stopping and cancelling main, the report, and the final state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from lifecycle.calls.dispatch import Own
from lifecycle.calls.moment import Moment
from lifecycle.calls.stacks import Straggler
from lifecycle.drain.drain import Drain, Stop
from lifecycle.drain.exit_code import INTERRUPTED
from lifecycle.drain.hook_calls import HookCalls
from lifecycle.drain.host import Parts
from lifecycle.drain.order import Terms, flush_until
from lifecycle.drain.report import Report, held_up_by, stands, told
from lifecycle.drain.timetable import CLOSE_TIME
from lifecycle.drain.view import Standing, cut_off, standing
from lifecycle.log import Log
from lifecycle.states import Event


class Note(Protocol):
    """Stores facts that have become true."""

    def __call__(self, **facts: bool) -> None:
        """Store the facts."""


class Hooks:
    """
    The hooks of a drain, and their calls. For the control loop.

    Args:
        log: The log for hooks that fail or are late.

    Attributes:
        drain: The `lifecycle_drain` hooks.
        stop: The `lifecycle_stop` hooks.
    """

    def __init__(self, log: Log) -> None:
        self.drain: list[Own] = []
        self.stop: list[Own] = []
        self.draining = HookCalls("lifecycle_drain", log)
        self.stopping = HookCalls("lifecycle_stop", log)


class DrainActions:
    """
    The `Actions` of one drain. For the control loop.

    Args:
        parts: The parts of the departure.
        drain: The drain, with its timetable.
        report: Gets the names of work that was not waited for.
        terms: The values for the time limit of the `lifecycle_stop` hooks.
        note: Stores the facts that become true.
        hooks: The hooks to call.
        wait_over: Set when `lifecycle prestop` may return.
        drained: Set when the drain is over.
        so_far: Returns the exit code at this moment.
        decide: Decides the exit code finally.
    """

    def __init__(
        self,
        parts: Parts,
        drain: Drain,
        report: Report,
        *,
        terms: Terms,
        note: Note,
        hooks: Hooks,
        wait_over: Moment[None],
        drained: Moment[None],
        so_far: Callable[[], int],
        decide: Callable[[], int],
    ) -> None:
        self._parts = parts
        self._drain = drain
        self._report = report
        self._terms = terms
        self._note = note
        self._hooks = hooks
        self._wait_over = wait_over
        self._drained = drained
        self._so_far = so_far
        self._decide = decide
        self._code = 0
        self._main = "main"
        self._standing: Standing | None = None
        """The work in flight when main was cancelled, which may end the work too."""

    # wait

    async def call_hooks(self) -> None:
        """Call all hooks in parallel."""
        hooks = self._hooks
        await hooks.draining.run(hooks.drain, life=self._parts.life, drain=self._drain)
        self._note(hooks=True)

    def note_what_held_up(self) -> None:
        """Store for the report which clients, work and hooks the drain was waiting for."""
        parts = self._parts
        self._report.disturbed_by = told(parts.traffic.last_disturbers)
        found = told(held_up_by, parts.app_loop, parts.traffic, parts.registrations)
        self._report.waited_for = found
        # A hook often waits for the work in flight. Then the hook itself is not late.
        self._note_late(self._hooks.draining, complain=not found)

    def _note_late(self, calls: HookCalls, *, complain: bool) -> None:
        names = told(calls.names)
        self._report.waited_for = self._report.waited_for + names
        if complain:
            self._report.late = self._report.late or bool(names)
            calls.complain()

    # forget

    def find_what_to_forget(self) -> None:
        """Look whether a registry still knows the address of a service."""
        if self._parts.registrations.all_forgotten:
            self._note(forgotten=True)

    async def forget(self) -> None:
        """Have the registries forget all addresses. They go on after this step, if it is late."""
        registrations = self._parts.registrations
        registrations.withdraw()  # the drain handler may be off
        registrations.forget()
        await registrations.until(lambda: registrations.all_forgotten)
        self._note(forgotten=True)

    def answer_prestop(self) -> None:
        """Answer all preStop calls."""
        self._wait_over.set(None)

    # stop

    def stop_main(self) -> None:
        """Tell main to stop, and end all waits for events of the drain."""
        if not self._drain.traffic_gone.happened:
            self._drain.time_over.set(None)  # otherwise the drain handler has not waited
        self._parts.traffic.settle()
        self._drain.settle_passed.set(None)
        self._drain.traffic_gone.set(None)
        self._parts.host.stop_main()  # first, because main must know before it can end
        self._drained.set(None)
        if not self._hooks.stop:
            self._note(flushed=True)
        # The drain handler may be off. Then deregister here, while main still has time.
        self._parts.registrations.withdraw()

    def cancel_main(self) -> None:
        """Store where main stands, then cancel main. Afterwards it is in its own cleanup."""
        self._main, self._report.stuck_at = stands(self._parts.host.straggler)
        self._parts.traffic.cancels()
        with suppress(Exception):  # otherwise the report names what is still there later
            self._standing = standing(self._parts.traffic)
        self._report.cut_off.append(f"{self._main}, which had not ended in time")
        self._parts.host.cancel_main()

    def give_main_up(self) -> None:
        """Store that main has ignored its cancellation."""
        self._report.stubborn = True
        self._report.cut_off.append(f"{self._main}, which did not end when it was cancelled")

    async def until_idle(self) -> None:
        """Wait until nothing is in flight."""
        await self._parts.traffic.nothing_in_flight()
        self._note(idle=True)

    def note_what_is_cut_off(self) -> None:
        """Store the names of work that is still in flight."""
        self._report.cut_off += told(cut_off, self._parts.traffic, self._standing)

    async def until_out(self) -> None:
        """Wait until no registration is left."""
        registrations = self._parts.registrations
        await registrations.until(lambda: registrations.all_out)
        self._note(out=True)

    async def clear_up(self) -> None:
        """Let the host end the tasks that main has left behind."""
        await self._parts.host.clear_up()
        self._note(cleared=True)

    def note_what_is_left_behind(self) -> None:
        """Store the names of tasks that ignore their cancellation."""
        left = self._parts.host.left_behind()
        left = left or [Straggler("the app's loop", self._parts.app_loop.stack())]
        names = ", ".join(each.name for each in left)
        self._report.stubborn = True
        self._report.cut_off.append(f"{names}: ignored the cancellation")
        self._report.stuck_at = self._report.stuck_at or left[0].stack

    # flush

    async def flush(self) -> None:
        """Call all `lifecycle_stop` hooks in parallel."""
        clock = asyncio.get_running_loop().time
        terms = self._terms._replace(began=clock())
        timetable = self._drain.timetable
        stop = Stop(
            self._so_far(), self._drain.cause, lambda: flush_until(timetable, terms) - clock()
        )
        hooks = self._hooks
        await hooks.stopping.run(hooks.stop, life=self._parts.life, stop=stop)
        self._note(flushed=True)

    def note_what_is_not_flushed(self) -> None:
        """Store for the report which hooks have not returned."""
        self._note_late(self._hooks.stopping, complain=True)

    # close

    async def close(self) -> None:
        """Change to the final state, with the exit code as its cause, and close the rest."""
        code = self._code = self._decide()
        end = Event.STOP if code in (0, INTERRUPTED) else Event.FAIL
        self._parts.transitions.fire(end, f"exit code {code}")
        await self._parts.close(self._close_time())
        self._note(closed=True)

    def _close_time(self) -> float:
        if not self._parts.host.ends_in_time:
            return CLOSE_TIME
        # Not until the last moment, because the port must be closed before the watchdog acts.
        left = self._drain.timetable.exit_by - asyncio.get_running_loop().time()
        return min(CLOSE_TIME, max(0.1, left - 0.1))

    def report(self) -> None:
        """Log the report."""
        traffic = self._parts.traffic
        with suppress(Exception):  # an app may put anything into a name
            self._report.last_to_end = traffic.last_to_end()
        traffic.note_unfinished()
        self._report.say(self._parts, self._drain, self._code)

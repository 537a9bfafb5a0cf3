"""
The steps of a drain as a table, with what each step does, what it waits for, and its time limit.

Rules of this file:

1. `ORDER` is complete. A drain takes the steps from the first to the last, and nothing else
   decides about the next step.
2. A step ends when its condition is true, or at its time limit. A further fact never makes a
   drain longer. The only exception is preStop, because a SIGTERM follows it.
3. The code here does no I/O, reads no clock and logs nothing. The table in the documentation is
   generated from it.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Protocol

from lifecycle.drain.timetable import CLOSE_TIME, STOP_TIME, Timetable

SIGNAL_FOLLOWS: Final = 1.0
"""Seconds to wait for SIGTERM after `lifecycle prestop` has returned late."""
CLEAR_UP_TIME: Final = 0.2
"""Seconds that the remaining tasks of main have to end, even if the time of main is over."""
FLUSH_TIME: Final = 0.1
"""Seconds that the `lifecycle_stop` hooks have, even if their time is over."""


class Facts(NamedTuple):
    """
    The facts about a drain. Each fact becomes true once, and stays true.

    Attributes:
        hooks: Every `lifecycle_drain` hook has returned.
        deregistered: Every registry has confirmed the deregistration, or was too late.
        prestop: preStop was called.
        forgotten: Every registry has forgotten this pod, or none needs to.
        signalled: A signal has come.
        forced: A second signal has come, so nothing more is waited for.
        main_over: Main has ended.
        idle: No work was in flight at some time after main was told to stop.
        out: No registration is left.
        cleared: The remaining tasks of main have ended.
        flushed: Every `lifecycle_stop` hook has returned, or there is none.
        closed: Plugins and registries are closed.
    """

    hooks: bool = False
    deregistered: bool = False
    forgotten: bool = False
    prestop: bool = False
    signalled: bool = False
    forced: bool = False
    main_over: bool = False
    idle: bool = False
    out: bool = False
    cleared: bool = False
    flushed: bool = False
    closed: bool = False


class Actions(Protocol):
    """The actions of the steps. An async action makes a fact true, and may be cancelled."""

    async def call_hooks(self) -> None:
        """Call every `lifecycle_drain` hook. Makes `hooks` true."""

    def note_what_held_up(self) -> None:
        """Store for the report what the drain still waited for."""

    def find_what_to_forget(self) -> None:
        """Make `forgotten` true if no registry needs `forget`."""

    async def forget(self) -> None:
        """Have the registries forget this pod. Makes `forgotten` true."""

    def answer_prestop(self) -> None:
        """Let `lifecycle prestop` return. SIGTERM may come now."""

    def stop_main(self) -> None:
        """Tell main to stop, because the drain is over."""

    def cancel_main(self) -> None:
        """Store for the report where main stands, and cancel main."""

    def give_main_up(self) -> None:
        """Store that main has ignored its cancellation."""

    async def until_idle(self) -> None:
        """Wait until no work is in flight. Makes `idle` true."""

    def note_what_is_cut_off(self) -> None:
        """Store for the report the work that is still in flight."""

    async def until_out(self) -> None:
        """Wait until no registration is left. Makes `out` true."""

    async def clear_up(self) -> None:
        """End the remaining tasks of main. Makes `cleared` true."""

    def note_what_is_left_behind(self) -> None:
        """Store for the report the remaining tasks of main that ignore their cancellation."""

    async def flush(self) -> None:
        """Call every `lifecycle_stop` hook. Makes `flushed` true."""

    def note_what_is_not_flushed(self) -> None:
        """Store for the report the `lifecycle_stop` hooks that have not returned."""

    async def close(self) -> None:
        """Decide and report the exit code, and close the rest. Makes `closed` true."""

    def report(self) -> None:
        """Log the drain report."""


class Terms(NamedTuple):
    """
    Values for the time limit of a step, besides the timetable.

    Attributes:
        register_timeout: Seconds after the drain start that the deregistration has.
        cancels_main: False if main has no time limit.
        began: The start time of the step.
    """

    register_timeout: float
    cancels_main: bool
    began: float = 0.0


class Step(NamedTuple):
    """
    One step of the order.

    Attributes:
        name: The name in `/status` and in the report. Several steps in a row may share a name.
        does: The first action, in words.
        waits: The condition that the step waits for, in words.
        limit: The time limit, in words.
        over: Returns whether the condition is true.
        until: Returns the time limit.
        skip: Returns whether to skip the step. Called once, before the step.
        begin: Called at the start of the step.
        work: Called at the start too, and cancelled at the end of the step.
        late: Called if the step has reached its time limit.
        then: Called at the end of the step in any case, but not if it is skipped.
        after: Called after the step, also if it is skipped.
    """

    name: str
    does: str
    waits: str
    limit: str
    over: Callable[[Facts], bool]
    until: Callable[[Timetable, Terms], float]
    skip: Callable[[Facts], bool] = lambda _: False
    begin: Callable[[Actions], None] = lambda _: None
    work: Callable[[Actions], Awaitable[None]] | None = None
    late: Callable[[Actions], None] = lambda _: None
    then: Callable[[Actions], None] = lambda _: None
    after: Callable[[Actions], None] = lambda _: None


def flush_until(plan: Timetable, terms: Terms) -> float:
    """Return the time limit of the `lifecycle_stop` hooks, if they are called at `terms.began`."""
    until = min(plan.stop_until, terms.began + plan.stop_time)
    # In an event loop of the app, main may end at any time, and no process is ended.
    least = FLUSH_TIME if terms.cancels_main else min(STOP_TIME, plan.stop_time)
    return max(until, terms.began + least)


ORDER: Final[Sequence[Step]] = (
    Step(
        "wait",
        "calls the `lifecycle_drain` hooks",
        "every `lifecycle_drain` hook has returned, or, if forced, every registry has confirmed",
        "drain start + grace_period - stop_timeout - 2, or 0.5 s earlier if a registry has to forget",
        over=lambda so: so.hooks or (so.forced and so.deregistered),
        until=lambda plan, _: plan.wait_until,
        work=lambda do: do.call_hooks(),
        late=lambda do: do.note_what_held_up(),
        then=lambda do: do.find_what_to_forget(),
    ),
    Step(
        "forget",
        "calls `forget` of the registries, if they have it",
        "every registry has forgotten this pod",
        "2 s after the start of this step, or earlier if the deregistration and this step have "
        "taken register_timeout together, but not later than drain start + grace_period - "
        "stop_timeout - 2",
        over=lambda so: so.forgotten,
        # Before preStop returns, because some servers close their listener when SIGTERM follows.
        skip=lambda so: so.forgotten,
        until=lambda plan, terms: min(terms.began + plan.forget_time, plan.forget_until),
        work=lambda do: do.forget(),
        after=lambda do: do.answer_prestop(),
    ),
    Step(
        "signal",
        "lets `lifecycle prestop` return, if it was called",
        "SIGTERM has arrived",
        "drain start + grace_period - stop_timeout - 2, or 1 s after the start of this step if "
        "that is later, but not later than drain start + grace_period - 2",
        over=lambda so: so.signalled,
        # If PID 1 exits while preStop runs, that is a FailedPreStopHook, so stay until SIGTERM.
        skip=lambda so: so.signalled or not so.prestop,
        until=lambda plan, terms: min(
            max(plan.forget_until, terms.began + SIGNAL_FOLLOWS), plan.main_until
        ),
    ),
    Step(
        "stop",
        "tells `main` to stop (`drained()` returns)",
        "`main` has ended",
        "drain start + grace_period - 2, without a limit in your own event loop",
        over=lambda so: so.main_over,
        until=lambda plan, terms: plan.main_until if terms.cancels_main else math.inf,
        begin=lambda do: do.stop_main(),
    ),
    Step(
        "stop",
        "cancels `main`",
        "`main` has ended",
        "drain start + grace_period - 1",
        over=lambda so: so.main_over,
        skip=lambda so: so.main_over,
        until=lambda plan, _: plan.cancel_until,
        begin=lambda do: do.cancel_main(),
        late=lambda do: do.give_main_up(),
    ),
    Step(
        "stop",
        "",
        "no work is in flight",
        "drain start + grace_period - 2",
        over=lambda so: so.idle or so.forced,
        until=lambda plan, _: plan.main_until,
        work=lambda do: do.until_idle(),
        then=lambda do: do.note_what_is_cut_off(),
    ),
    Step(
        "stop",
        "",
        "no registration is left",
        "drain start + register_timeout, but not later than drain start + grace_period - "
        "stop_timeout - 2",
        over=lambda so: so.out,
        until=lambda plan, terms: min(plan.began + terms.register_timeout, plan.forget_until),
        work=lambda do: do.until_out(),
    ),
    Step(
        "stop",
        "cancels the remaining tasks of `main`",
        "these tasks have ended",
        "drain start + grace_period - 1, or 0.2 s after the start of this step if that is later",
        over=lambda so: so.cleared,
        skip=lambda so: not so.main_over,  # main may still use its tasks
        until=lambda plan, terms: max(plan.cancel_until, terms.began + CLEAR_UP_TIME),
        work=lambda do: do.clear_up(),
        late=lambda do: do.note_what_is_left_behind(),
    ),
    Step(
        "flush",
        "calls the `lifecycle_stop` hooks, if there are any",
        "every `lifecycle_stop` hook has returned",
        "the longer of stop_timeout and 1 s after the start of this step, but not later than "
        "drain start + grace_period - 1. In any case 0.1 s after the start of this step",
        over=lambda so: so.flushed,
        skip=lambda so: so.flushed,
        until=flush_until,
        work=lambda do: do.flush(),
        late=lambda do: do.note_what_is_not_flushed(),
    ),
    Step(
        "close",
        "reports STOPPED or FAILED to the hooks, closes the registries",
        "hooks and registries are done",
        "1 s after the start of this step",
        over=lambda so: so.closed,
        until=lambda _, terms: terms.began + 2 * CLOSE_TIME,  # the action has its own time limit
        work=lambda do: do.close(),
        then=lambda do: do.report(),
    ),
)


def standing(facts: Facts, order: Sequence[Step] = ORDER) -> Step | None:
    """Return the step of a drain with these facts, without time limits. None at the end."""
    return next((each for each in order if not (each.skip(facts) or each.over(facts))), None)

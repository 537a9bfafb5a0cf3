"""
The order of leaving, as a table: what a drain waits for, how long, and what it does then.

Rules of this file:

1. `ORDER` is complete: a drain takes its steps from the first to the last, and nothing else
   decides what comes next.
2. A step ends when it is over, or at its time. One more fact never makes a drain wait longer;
   only preStop does, after which a SIGTERM comes.
3. Nothing here does I/O, reads a clock or logs. The table in the documentation is generated
   from it.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Protocol

from lifecycle.drain.timetable import CLOSE_TIME, Timetable

SIGNAL_FOLLOWS: Final = 1.0
"""Seconds that SIGTERM has, after preStop was answered late, before we stop without it."""
CLEAR_UP_TIME: Final = 0.2
"""Seconds that tasks left behind by main have at least, when main itself has used up its time."""


class Facts(NamedTuple):
    """
    What is so of a drain. Each comes true once, and stays true.

    Attributes:
        hooks: Every `lifecycle_drain` hook has returned.
        deregistered: Every registry has confirmed at T0, or was late.
        prestop: preStop was called.
        signalled: A signal has come.
        forced: A second signal has come: no more waiting.
        main_over: Main has ended.
        idle: Nothing has been in flight since main was to end.
        out: No registration is left.
        cleared: What main has left behind has ended.
        closed: Plugins and registries are closed.
    """

    hooks: bool = False
    deregistered: bool = False
    prestop: bool = False
    signalled: bool = False
    forced: bool = False
    main_over: bool = False
    idle: bool = False
    out: bool = False
    cleared: bool = False
    closed: bool = False


class Actions(Protocol):
    """What a drain does in its steps. What is awaited makes a fact true, and may be cancelled."""

    async def call_hooks(self) -> None:
        """Call every `lifecycle_drain` hook: makes `hooks` true."""

    def note_what_held_up(self) -> None:
        """Name for the report what was still waited for."""

    def answer_prestop(self) -> None:
        """Answer preStop: SIGTERM may come."""

    def stop_main(self) -> None:
        """Tell main to end: nobody can be lost any more."""

    def cancel_main(self) -> None:
        """Name for the report where main stands, and cancel it."""

    def give_main_up(self) -> None:
        """Take note that main has ignored its cancellation."""

    async def until_idle(self) -> None:
        """Wait until nothing is in flight: makes `idle` true."""

    def note_what_is_cut_off(self) -> None:
        """Name for the report what is still in flight."""

    async def until_out(self) -> None:
        """Wait until no registration is left: makes `out` true."""

    async def clear_up(self) -> None:
        """End what main has left behind: makes `cleared` true."""

    def note_what_is_left_behind(self) -> None:
        """Name for the report what main has left behind, and what ignores its cancellation."""

    async def close(self) -> None:
        """Decide the exit code, tell it, and close the rest: makes `closed` true."""

    def report(self) -> None:
        """Say how it went."""


class Terms(NamedTuple):
    """
    What a step's time depends on beside the timetable.

    Attributes:
        register_timeout: Seconds that the deregistration has from T0 on.
        cancels_main: False if main may use all the time it wants.
        began: When the step began.
    """

    register_timeout: float
    cancels_main: bool
    began: float = 0.0


class Step(NamedTuple):
    """
    One step of the order.

    Attributes:
        name: What `/status` and the report call it; several steps in a row may share a name.
        does: What is done first, in words.
        waits: What it then waits for, in words: until …
        limit: How long, in words: at the latest at …
        over: Whether that has come.
        until: When it waits no longer.
        skip: Whether it is not taken at all, looked at once when it would begin.
        begin: What is done when it begins.
        work: What is done while it waits, and cancelled at its end.
        late: What is done if it was not over in time.
        then: What is done at its end in any case.
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


ORDER: Final[Sequence[Step]] = (
    Step(
        "wait",
        "calls the `lifecycle_drain` hooks",
        "every `lifecycle_drain` hook has returned; if forced, every registry has confirmed",
        "T0 + grace_period - stop_timeout - 2",
        over=lambda so: so.hooks or (so.forced and so.deregistered),
        until=lambda plan, _: plan.wait_until,
        work=lambda do: do.call_hooks(),
        late=lambda do: do.note_what_held_up(),
        then=lambda do: do.answer_prestop(),
    ),
    Step(
        "signal",
        "answers preStop, if it was called",
        "SIGTERM has come",
        "T0 + grace_period - stop_timeout - 2, or 1 s after this step began if that is later; "
        "T0 + grace_period - 2",
        over=lambda so: so.signalled,
        # PID 1 leaving under a running preStop is a FailedPreStopHook: stay until SIGTERM.
        skip=lambda so: so.signalled or not so.prestop,
        until=lambda plan, terms: min(
            max(plan.wait_until, terms.began + SIGNAL_FOLLOWS), plan.main_until
        ),
    ),
    Step(
        "stop",
        "tells main to end: `drained()` returns",
        "main has ended",
        "T0 + grace_period - 2; no limit in somebody else's loop",
        over=lambda so: so.main_over,
        until=lambda plan, terms: plan.main_until if terms.cancels_main else math.inf,
        begin=lambda do: do.stop_main(),
    ),
    Step(
        "stop",
        "cancels main",
        "main has ended",
        "T0 + grace_period - 1",
        over=lambda so: so.main_over,
        skip=lambda so: so.main_over,
        until=lambda plan, _: plan.cancel_until,
        begin=lambda do: do.cancel_main(),
        late=lambda do: do.give_main_up(),
    ),
    Step(
        "stop",
        "",
        "nothing is in flight",
        "T0 + grace_period - 2",
        over=lambda so: so.idle or so.forced,
        until=lambda plan, _: plan.main_until,
        work=lambda do: do.until_idle(),
        then=lambda do: do.note_what_is_cut_off(),
    ),
    Step(
        "stop",
        "",
        "no registration is left",
        "T0 + register_timeout; T0 + grace_period - stop_timeout - 2",
        over=lambda so: so.out,
        until=lambda plan, terms: min(plan.began + terms.register_timeout, plan.wait_until),
        work=lambda do: do.until_out(),
    ),
    Step(
        "stop",
        "cancels the tasks that main has left behind",
        "they have ended",
        "T0 + grace_period - 1, or 0.2 s after this step began if that is later",
        over=lambda so: so.cleared,
        skip=lambda so: not so.main_over,  # what main still uses is not taken from it
        until=lambda plan, terms: max(plan.cancel_until, terms.began + CLEAR_UP_TIME),
        work=lambda do: do.clear_up(),
        late=lambda do: do.note_what_is_left_behind(),
    ),
    Step(
        "close",
        "tells the hooks of STOPPED or FAILED, closes the registries",
        "all of that is done",
        "1 s after this step began",
        over=lambda so: so.closed,
        until=lambda _, terms: terms.began + 2 * CLOSE_TIME,  # it keeps its time by itself
        work=lambda do: do.close(),
        then=lambda do: do.report(),
    ),
)


def standing(facts: Facts, order: Sequence[Step] = ORDER) -> Step | None:
    """Return the step at which a drain stands while time does not pass; None: at its end."""
    return next((each for each in order if not (each.skip(facts) or each.over(facts))), None)

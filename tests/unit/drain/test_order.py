"""The order of leaving, played through: every set of facts against every step of the table."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import chain, combinations, pairwise
from typing import Any

import pytest

from lifecycle.config import Config
from lifecycle.drain.driver import Driver
from lifecycle.drain.order import FLUSH_TIME, ORDER, Facts, Step, Terms, standing
from lifecycle.drain.timetable import CANCEL_TIME, Timetable
from tests.unit.virtual_time import now, run

NAMES = Facts._fields
EVERY = [
    Facts(**dict.fromkeys(names, True))
    for names in chain.from_iterable(combinations(NAMES, n) for n in range(len(NAMES) + 1))
]
"""Every set of facts: 4,096."""
WAIT, FORGET, SIGNAL, MAIN, CANCELLED, IN_FLIGHT, OUT, CLEARED, FLUSH, CLOSE = ORDER


def place(facts: Facts) -> int:
    """Return how far the drain is."""
    step = standing(facts)
    return len(ORDER) if step is None else ORDER.index(step)


def names(facts: Facts) -> set[str]:
    """Return which are so."""
    return {name for name, so in facts._asdict().items() if so}


def expected(so: Facts) -> Step | None:
    """Say in other words where a drain stands."""
    if not so.hooks and not (so.forced and so.deregistered):
        return WAIT
    if not so.forgotten:
        return FORGET
    if so.prestop and not so.signalled:
        return SIGNAL
    if not so.main_over:
        return MAIN
    if not so.idle and not so.forced:
        return IN_FLIGHT
    if not so.out:
        return OUT
    if not so.cleared:
        return CLEARED
    if not so.flushed:
        return FLUSH
    return None if so.closed else CLOSE


def test_where_a_drain_stands() -> None:
    """With every set of facts, while no time passes."""
    assert [facts for facts in EVERY if standing(facts) is not expected(facts)] == []


def test_one_more_fact_never_makes_it_wait_longer() -> None:
    """But preStop's being called: then SIGTERM is still to come."""
    for facts in EVERY:
        for name in set(NAMES) - names(facts):
            more = facts._replace(**{name: True})
            if name == "prestop" and place(more) < place(facts):
                assert standing(more) is SIGNAL
            else:
                assert place(more) >= place(facts), (facts, name)


def test_a_step_that_is_over_stays_so() -> None:
    """What is true of some facts is true of more of them."""
    for step in ORDER:
        for facts in EVERY:
            if step.over(facts):
                assert all(step.over(facts._replace(**{name: True})) for name in NAMES)


OURS = Terms(register_timeout=10.0, cancels_main=True)
THEIRS = Terms(register_timeout=10.0, cancels_main=False)


def plan(at: float = 0.0, *, stop_hooks: bool = True, forgets: bool = True) -> Timetable:
    """Make the timetable of a drain that begins then, with the defaults."""
    return Timetable.plan(Config(), at, stop_hooks=stop_hooks, forgets=forgets)


def end(facts: Facts, timetable: Timetable, at: float = 0.0, terms: Terms = OURS) -> float:
    """Return when a drain is at its end to which nothing more happens."""
    for step in ORDER:
        if not step.skip(facts) and not step.over(facts):
            at = max(at, step.until(timetable, terms._replace(began=at)))
    return at


def test_it_always_ends() -> None:
    """Whatever is so, and though nothing more ever happens, it closes in time."""
    for facts in EVERY:
        assert end(facts._replace(closed=True), plan()) <= plan().exit_by


def test_in_somebody_elses_loop_it_waits_for_main_alone() -> None:
    """
    Without main's end there is none; with it the drain ends as in a process of ours.

    Only the `lifecycle_stop` hooks have a second there in any case, because no process is ended.
    """
    for facts in EVERY:
        if facts.main_over and facts.flushed:
            assert end(facts, plan(), terms=THEIRS) == end(facts, plan())
        elif facts.main_over:
            assert 0 <= end(facts, plan(), terms=THEIRS) - end(facts, plan()) <= 1
        else:
            assert end(facts, plan(), terms=THEIRS) == float("inf")


@pytest.mark.parametrize("forgets", [False, True])
@pytest.mark.parametrize("stop_hooks", [False, True])
@pytest.mark.parametrize("at", [0.0, 3.0, 24.5, 26.0, 28.5])
def test_forced_it_waits_for_the_deregistration_and_a_cancelled_main(
    at: float, stop_hooks: bool, forgets: bool
) -> None:
    """
    A second for each, at most, from whatever moment on, and half of one for what is to flush.

    What is to be forgotten is a part of the first second.
    """
    timetable = plan(stop_hooks=stop_hooks, forgets=forgets)
    timetable.force(at)
    for facts in EVERY:
        forced = facts._replace(forced=True, signalled=True, closed=True)
        took = end(forced, timetable, at) - at
        assert took <= 1.0 + CANCEL_TIME + (0.5 if stop_hooks else FLUSH_TIME)
        done = forced.deregistered and forced.forgotten and forced.out
        if done and forced.main_over and forced.cleared:
            assert took <= (0 if forced.flushed else 1)


@pytest.mark.parametrize("at", [3.0, 24.5, 26.0, 27.9])
def test_forced_what_is_to_flush_has_half_a_second_at_least(at: float) -> None:
    """Although main has used all the time that it has when it is cancelled."""
    timetable = plan()
    timetable.force(at)
    assert timetable.stop_until - timetable.cancel_until == pytest.approx(0.5)
    assert timetable.exit_by <= min(at + 3.0, plan().exit_by)


def test_what_is_to_flush_has_a_second_though_main_has_used_all_of_its_time() -> None:
    """That second is taken from main, not from the wait, and not from the end."""
    plain, shared = plan(stop_hooks=False), plan()
    assert shared.wait_until == plain.wait_until
    assert shared.exit_by == plain.exit_by
    late = Facts(hooks=True, signalled=True)
    began = end(late._replace(flushed=True, closed=True), shared)
    assert end(late._replace(closed=True), shared) - began == 1
    assert began == end(late._replace(flushed=True, closed=True), plain) - 1


def test_each_step_is_begun_once_and_its_words_are_its_own() -> None:
    """Steps of one name stand side by side, and each says what it waits for."""
    changes = [second.name for first, second in pairwise(ORDER) if first.name != second.name]
    assert len(changes) == len(set(changes))
    assert len({(step.does, step.waits) for step in ORDER}) == len(ORDER)


class Notes:
    """Actions that note that they were called; what is awaited takes a second, or for ever."""

    def __init__(self, driver: Driver, *, hang: str = "") -> None:
        self.driver = driver
        self.hang = hang
        self.called: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name in WORK:
            return lambda: self._work(name)
        return lambda: self.called.append(name)

    async def _work(self, name: str) -> None:
        self.called.append(name)
        await asyncio.sleep(1e9 if name == self.hang else 1)
        self.driver.note(**{WORK[name]: True})


WORK = {
    "call_hooks": "hooks",
    "forget": "forgotten",
    "until_idle": "idle",
    "until_out": "out",
    "clear_up": "cleared",
    "flush": "flushed",
    "close": "closed",
}


def test_the_driver_takes_every_step_in_its_order() -> None:
    """And tells when those of one name are done."""

    async def main() -> None:
        driver, marks = Driver(ORDER), []
        notes = Notes(driver)
        driver.note(main_over=True)
        began = now()
        await driver.run(notes, plan(began), OURS, marks.append)
        assert notes.called == [
            "call_hooks",
            "find_what_to_forget",
            "forget",
            "answer_prestop",
            "stop_main",
            "until_idle",
            "note_what_is_cut_off",
            "until_out",
            "clear_up",
            "flush",
            "close",
            "report",
        ]
        assert marks == ["wait", "forget", "stop", "flush", "close"]
        assert (now() - began, driver.step) == (7, "close")

    run(main())


@pytest.mark.parametrize(
    ("hang", "late"),
    [
        ("call_hooks", "note_what_held_up"),
        ("clear_up", "note_what_is_left_behind"),
        ("until_idle", "note_what_is_cut_off"),
        ("flush", "note_what_is_not_flushed"),
    ],
)
def test_what_hangs_is_left_at_its_time(hang: str, late: str) -> None:
    """And named, once."""

    async def main() -> None:
        driver = Driver(ORDER)
        notes = Notes(driver, hang=hang)
        driver.note(main_over=True)
        await driver.run(notes, plan(now()), OURS, lambda _: None)
        assert notes.called.count(late) == 1
        assert notes.called[-2:] == ["close", "report"]

    run(main())


def test_a_drain_without_a_hook_to_flush_has_no_such_step() -> None:
    """The report names it only where there is something to name."""

    async def main() -> None:
        driver, marks = Driver(ORDER), []
        notes = Notes(driver)
        driver.note(main_over=True, flushed=True, forgotten=True)
        await driver.run(notes, plan(now()), OURS, marks.append)
        assert "flush" not in notes.called
        assert marks == ["wait", "stop", "close"]

    run(main())


def test_a_drain_with_nothing_to_forget_has_no_such_step() -> None:
    """preStop is answered all the same, right after the wait."""

    async def main() -> None:
        driver, marks = Driver(ORDER), []
        notes = Notes(driver)
        driver.note(main_over=True, forgotten=True)
        await driver.run(notes, plan(now()), OURS, marks.append)
        assert notes.called[:3] == ["call_hooks", "find_what_to_forget", "answer_prestop"]
        assert marks == ["wait", "stop", "flush", "close"]

    run(main())


def forget_until(timetable: Timetable, began: float) -> float:
    """Return when the registries that forget are not waited for any more."""
    return FORGET.until(timetable, OURS._replace(began=began))


@pytest.mark.parametrize("deregistered", [0.2, 3.0, 9.4, 9.5])
def test_the_registries_are_never_waited_for_longer_than_register_timeout(
    deregistered: float,
) -> None:
    """The deregistration and what is to be forgotten have it together, and the latter 2 s at most."""
    timetable = plan()
    timetable.deregistered(deregistered)
    took = forget_until(timetable, 10.0) - 10.0
    assert deregistered + took <= 10.0
    assert took == pytest.approx(min(2.0, 10.0 - deregistered))


@pytest.mark.parametrize("left", [0.0, 0.1, 0.5, 1.0, 5.0])
def test_what_is_to_be_forgotten_has_half_a_second_before_the_deadline(left: float) -> None:
    """And never goes past it: the wait ends that much earlier."""
    timetable = plan()
    assert timetable.forget_until == plan(forgets=False).wait_until == 25.0
    assert timetable.wait_until == 24.5
    began = timetable.wait_until - left
    assert 0.5 <= forget_until(timetable, began) - began <= 2.0
    assert forget_until(timetable, began) <= timetable.forget_until


@pytest.mark.parametrize("shorten", [Timetable.force, Timetable.hurry])
@pytest.mark.parametrize("at", [3.0, 24.4])
def test_what_is_to_be_forgotten_has_half_a_second_of_a_shorter_time_too(
    at: float, shorten: Callable[[Timetable, float], None]
) -> None:
    """After a second signal, and if SIGTERM comes before preStop is answered."""
    timetable = plan()
    shorten(timetable, at)
    assert forget_until(timetable, timetable.wait_until) == pytest.approx(
        timetable.wait_until + 0.5
    )
    assert timetable.forget_until <= at + 1.0


def test_the_report_has_its_own_step() -> None:
    """What is done at the end of a step comes after the step is marked as done."""

    async def main() -> None:
        driver = Driver(ORDER)
        notes = Notes(driver)
        driver.note(main_over=True)
        await driver.run(notes, plan(now()), OURS, lambda name: notes.called.append(f"mark {name}"))
        assert notes.called[-3:] == ["close", "mark close", "report"]

    run(main())


def test_what_breaks_is_raised() -> None:
    """An error of ours ends the drain: who leads it says so."""

    async def main() -> None:
        driver = Driver(ORDER)
        notes = Notes(driver)

        async def broken() -> None:
            raise ZeroDivisionError("ours")

        notes.until_idle = broken  # type: ignore[attr-defined]
        driver.note(main_over=True)
        with pytest.raises(ZeroDivisionError, match="ours"):
            await driver.run(notes, plan(now()), OURS, lambda _: None)

    run(main())


def test_a_step_more_is_one_row_more() -> None:
    """What is to come needs nothing else."""

    async def main() -> None:
        last = ORDER.index(CLOSE)
        told = Step(
            "tell",
            "sends what is left",
            "it is sent",
            "1 s",
            over=lambda so: so.closed,
            until=lambda _, terms: terms.began + 1,
            begin=lambda do: do.send_last(),  # type: ignore[attr-defined]
        )
        driver, marks = Driver((*ORDER[:last], told, *ORDER[last:])), []
        notes = Notes(driver)
        driver.note(main_over=True, forgotten=True)
        await driver.run(notes, plan(now()), OURS, marks.append)
        assert notes.called[-3:] == ["send_last", "close", "report"]
        assert marks == ["wait", "stop", "flush", "tell", "close"]

    run(main())


LIMITS = {
    "drain start + grace_period - stop_timeout - 2, or 0.5 s earlier if a registry has to forget": (
        lambda began: 100 + 30 - 3 - 2 - 0.5
    ),
    "2 s after the start of this step, or earlier if the deregistration and this step have taken "
    "register_timeout together, but not later than drain start + grace_period - stop_timeout - 2": (
        lambda began: min(began + min(2, 10 - 9), 125)
    ),
    "drain start + grace_period - stop_timeout - 2, or 1 s after the start of this step if that "
    "is later, but not later than drain start + grace_period - 2": lambda began: min(
        max(125, began + 1), 128
    ),
    "drain start + grace_period - 2, without a limit in your own event loop": lambda began: 128,
    "drain start + grace_period - 1": lambda began: 129,
    "drain start + grace_period - 2": lambda began: 128,
    "drain start + register_timeout, but not later than drain start + grace_period - "
    "stop_timeout - 2": lambda began: min(110, 125),
    "drain start + grace_period - 1, or 0.2 s after the start of this step if that is later": (
        lambda began: max(129, began + 0.2)
    ),
    "the longer of stop_timeout and 1 s after the start of this step, but not later than drain "
    "start + grace_period - 1. In any case 0.1 s after the start of this step": (
        lambda began: max(min(began + 3, 129), began + 0.1)
    ),
    "1 s after the start of this step": lambda began: began + 1,
}


@pytest.mark.parametrize("began", [100.0, 124.5, 127.5, 129.0])
def test_what_the_documentation_says_of_each_limit(began: float) -> None:
    """The words of the table are what is done: T0 is 100, deregistered at 109, all settings default."""
    plan = Timetable.plan(Config(), 100.0, forgets=True)
    plan.deregistered(109.0)
    terms = Terms(register_timeout=10.0, cancels_main=True, began=began)
    said = {step.limit: LIMITS[step.limit](began) for step in ORDER}
    assert {step.limit: step.until(plan, terms) for step in ORDER} == pytest.approx(said)
    assert said.keys() == LIMITS.keys()

"""The drain's timetable: its order, and that it only ever shrinks."""

from __future__ import annotations

from dataclasses import astuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lifecycle.calls.moment import Moment
from lifecycle.config import Config
from lifecycle.drain.drain import Drain
from lifecycle.drain.timetable import FORGET_TIME, Timetable
from lifecycle.exceptions import ConfigError

seconds = st.floats(0, 60)


@st.composite
def plans(draw: st.DrawFn) -> tuple[Config, Timetable]:
    """Make a config and the timetable of a drain under it."""
    try:
        config = Config(
            grace_period=draw(st.floats(3, 120)),
            settle=draw(st.floats(0, 20)),
            quiet=draw(st.floats(0, 5)),
            stop_timeout=draw(st.floats(0, 20)),
        )
    except ConfigError:
        assume(False)
        raise
    settle, stop_hooks, forgets = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    needed = config.settle + config.quiet + config.stop_timeout + 2 + FORGET_TIME
    assume(not forgets or needed <= config.grace_period)
    return config, Timetable.plan(
        config, 1000.0, settle=None if settle else 0.0, stop_hooks=stop_hooks, forgets=forgets
    )


def times(timetable: Timetable) -> list[float]:
    """Return when its parts end, without how long the hooks and the registries may take."""
    return [*astuple(timetable)[:8]]


def in_order(timetable: Timetable) -> None:
    """Check that every part ends no earlier than the one before."""
    assert times(timetable) == sorted(times(timetable))


@given(plans())
def test_a_plan_is_in_order_and_inside_the_grace_period(plan: tuple[Config, Timetable]) -> None:
    """T0, settle, wait, forget, main, cancel, stop, exit: in this order, and out 0.5 s before the kill."""
    config, timetable = plan
    in_order(timetable)
    end = timetable.began + config.grace_period
    assert timetable.exit_by <= end - 0.5
    assert timetable.main_until <= end - 2
    assert timetable.forget_until == pytest.approx(end - config.stop_timeout - 2)
    assert timetable.forget_until - timetable.wait_until in (0, pytest.approx(0.5))
    assert timetable.stop_until == pytest.approx(end - 1)
    assert timetable.main_until - timetable.forget_until >= config.stop_timeout / 2 - 1e-9
    assert timetable.cancel_until == pytest.approx(timetable.main_until + 1)
    assert timetable.stop_time >= max(1, config.stop_timeout)


@given(plans(), st.lists(st.tuples(st.sampled_from(["hurry", "force"]), seconds), max_size=5))
def test_it_only_ever_shrinks(
    plan: tuple[Config, Timetable], cuts: list[tuple[str, float]]
) -> None:
    """Whatever signals come, and when: no time grows, and all stay in order."""
    _, timetable = plan
    for what, at in sorted(cuts, key=lambda cut: cut[1]):
        now = timetable.began + at
        before = astuple(timetable)
        (timetable.hurry if what == "hurry" else timetable.force)(now)
        assert all(a <= b for a, b in zip(astuple(timetable), before, strict=True))
        in_order(timetable)
        assert timetable.settle_at <= now
        assert timetable.exit_by <= max(now, before[4]) + 3.0


@given(plans(), seconds)
def test_forced_late_main_still_gets_its_second(plan: tuple[Config, Timetable], at: float) -> None:
    """Forced at any moment: a cancelled main has 1 s, unless the grace period ends before."""
    _, timetable = plan
    now = timetable.began + at
    cancel_until, exit_by = timetable.cancel_until, timetable.exit_by
    timetable.force(now)
    assert timetable.cancel_until >= min(cancel_until, now + 1)
    assert timetable.exit_by >= min(exit_by, now + 1.5)


def test_the_default_plan() -> None:
    """With 30 s of grace: settle 5, wait 25, main 28, cancelled 29, out 29.5."""
    assert times(Timetable.plan(Config(), 100.0)) == [100, 105, 125, 125, 128, 129, 129, 129.5]


def test_the_default_plan_with_hooks_that_flush() -> None:
    """A second of main's is theirs, and nobody else's."""
    timetable = Timetable.plan(Config(), 100.0, stop_hooks=True)
    assert times(timetable) == [100, 105, 125, 125, 127, 128, 129, 129.5]
    assert timetable.stop_time == 3


def test_the_default_plan_with_registries_that_forget() -> None:
    """They have half a second of the wait, and nobody else's."""
    timetable = Timetable.plan(Config(), 100.0, forgets=True)
    assert times(timetable) == [100, 105, 124.5, 125, 128, 129, 129, 129.5]
    assert (timetable.deregister_until, timetable.forget_time) == (109.5, 2.0)


def test_a_short_register_timeout_is_shared_by_halves() -> None:
    """By the deregistration and by what is to be forgotten."""
    timetable = Timetable.plan(Config(register_timeout=0.2), 100.0, forgets=True)
    assert timetable.forget_until - timetable.wait_until == pytest.approx(0.1)
    assert timetable.deregister_until == pytest.approx(100.1)
    assert timetable.forget_time == 0.2


def test_the_settle_time_of_a_registry_takes_the_place_of_the_setting() -> None:
    """And nothing else of the plan changes."""
    timetable = Timetable.plan(Config(), 100.0, settle=7.0)
    assert times(timetable) == [100, 107, 125, 125, 128, 129, 129, 129.5]


@pytest.mark.parametrize(("stop_timeout", "share"), [(0, 0), (0.5, 0.25), (2, 1), (10, 1)])
def test_main_keeps_half_of_its_time_at_least(stop_timeout: float, share: float) -> None:
    """However short `stop_timeout` is."""
    config = Config(stop_timeout=stop_timeout)
    timetable = Timetable.plan(config, 100.0, stop_hooks=True)
    assert 128 - timetable.main_until == share
    assert timetable.stop_time == max(1, stop_timeout)


def test_hurry() -> None:
    """SIGTERM before preStop was answered: the kubelet leaves 2 s, and we are out in 1.6."""
    timetable = Timetable.plan(Config(), 100.0)
    timetable.hurry(103.0)
    assert times(timetable) == pytest.approx([100, 103, 104, 104, 104.2, 104.4, 104.4, 104.6])


def test_hurry_with_hooks_that_flush() -> None:
    """They have 0.2 s of the wait, and we are out as early."""
    timetable = Timetable.plan(Config(), 100.0, stop_hooks=True)
    timetable.hurry(103.0)
    assert times(timetable) == pytest.approx([100, 103, 103.8, 103.8, 104, 104.2, 104.4, 104.6])
    assert timetable.stop_time == 0.2


def test_force() -> None:
    """A second signal: 1 s to deregister, nothing for main, 1 s for its cancellation."""
    timetable = Timetable.plan(Config(), 100.0)
    timetable.force(103.0)
    assert times(timetable) == pytest.approx([100, 103, 104, 104, 104, 105, 105, 105.5])


def test_force_with_hooks_that_flush() -> None:
    """They have 0.5 s more, and a second if main ends early."""
    timetable = Timetable.plan(Config(), 100.0, stop_hooks=True)
    timetable.force(103.0)
    assert times(timetable) == pytest.approx([100, 103, 104, 104, 104, 105, 105.5, 106])
    assert timetable.stop_time == 1


def test_the_time_a_hook_has() -> None:
    """`time_left` counts down to the deadline, shrinks with it, and is never negative."""
    now = [100.0]
    drain = Drain("SIGTERM", Timetable.plan(Config(), 100.0), lambda: now[0])
    assert (drain.time_left(), drain.main_time_left()) == (25, 28)
    now[0] = 110.0
    assert drain.time_left() == 15
    drain.timetable.hurry(now[0])
    assert drain.time_left() == 1
    now[0] = 200.0
    assert (drain.time_left(), drain.main_time_left()) == (0, 0)
    assert isinstance(drain.traffic_gone, Moment)

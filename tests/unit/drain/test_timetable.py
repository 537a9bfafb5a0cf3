"""The drain's timetable: its order, and that it only ever shrinks."""

from __future__ import annotations

from dataclasses import astuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lifecycle.calls.moment import Moment
from lifecycle.config import Config
from lifecycle.drain.drain import Drain
from lifecycle.drain.timetable import Timetable
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
    return config, Timetable.plan(config, 1000.0, settle=draw(st.booleans()))


def in_order(timetable: Timetable) -> None:
    """Check that every part ends no earlier than the one before."""
    times = list(astuple(timetable))
    assert times == sorted(times)


@given(plans())
def test_a_plan_is_in_order_and_inside_the_grace_period(plan: tuple[Config, Timetable]) -> None:
    """T0, settle, wait, main, cancel, exit: in this order, and out 0.5 s before the kill."""
    config, timetable = plan
    in_order(timetable)
    end = timetable.began + config.grace_period
    assert timetable.exit_by <= end - 0.5
    assert timetable.main_until <= end - 2
    assert timetable.wait_until == pytest.approx(end - config.stop_timeout - 2)


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
        assert timetable.exit_by <= max(now, before[3]) + 2.5


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
    assert astuple(Timetable.plan(Config(), 100.0)) == (100, 105, 125, 128, 129, 129.5)


def test_hurry() -> None:
    """SIGTERM before preStop was answered: the kubelet leaves 2 s, and we are out in 1.6."""
    timetable = Timetable.plan(Config(), 100.0)
    timetable.hurry(103.0)
    assert astuple(timetable) == pytest.approx((100, 103, 104, 104.2, 104.4, 104.6))


def test_force() -> None:
    """A second signal: 1 s to deregister, nothing for main, 1 s for its cancellation."""
    timetable = Timetable.plan(Config(), 100.0)
    timetable.force(103.0)
    assert astuple(timetable) == pytest.approx((100, 103, 104, 104, 105, 105.5))


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

"""The drains of a service are added up in constant memory, and the distribution is right."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.tune.rule import FEWEST
from lifecycle.tune.seen_drain import seen_drain
from lifecycle.tune.tally import BARS, SETTINGS_KEPT, Tally, Times
from tests.unit.tune.reports import SETTINGS, report


def tally_of(*fields: dict[str, Any]) -> Tally:
    found = [seen_drain(report(**each)) for each in fields]
    tally = Tally(found[0])
    for number, each in enumerate(found):
        tally.add(each, f"log:{number}")
    return tally


def last(at: float, listened: float = 30.0) -> dict[str, Any]:
    """A drain with its last connection at a time."""
    seconds = [0] * min(119, int(at)) + [1]
    return {"last_connection": at, "connections": seconds, "listened": listened}


@given(st.lists(st.floats(0, 86_400), min_size=1, max_size=60), st.floats(0.01, 1))
def test_a_quantile_is_right_to_two_hundredths_or_one_percent(
    times: list[float], fraction: float
) -> None:
    """Rounded down, and never beyond the largest."""
    found = Times()
    for each in times:
        found.add(each)
    exact = sorted(times)[max(1, math.ceil(fraction * len(times))) - 1]
    assert exact * 0.99 - 0.021 <= found.quantile(fraction) <= exact + 1e-6


def test_any_number_of_times_takes_bounded_space() -> None:
    """Up to a day, which no grace period exceeds."""
    found = Times()
    for number in range(86_400 * 2):
        found.add(number / 2)
    assert found.total == 86_400 * 2
    assert len([*found]) < 7_000


@given(st.lists(st.floats(0, 3600), min_size=1, max_size=40))
def test_a_histogram_has_every_drain_in_few_bars(times: list[float]) -> None:
    """Side by side, from the smallest to the largest."""
    sample = tally_of(*(last(at, listened=4000.0) for at in times)).used().connections
    bars = sample.histogram()
    assert sum(bar.drains for bar in bars) == len(times)
    assert 1 <= len(bars) <= BARS + 2
    assert all(left.high == pytest.approx(right.low) for left, right in pairwise(bars))
    assert bars[0].low <= min(times) + 0.021
    assert bars[-1].high >= max(times) * 0.98 - 0.021


def test_what_the_rule_gets() -> None:
    """The longest of all drains, by itself and among the others."""
    tally = tally_of(last(1.5, listened=6.0), last(4.25, listened=6.0), last(2.0, listened=3.0 + 3))
    seen = tally.used().connections.evidence(5.0, 1.0)
    assert (seen.drains, seen.last, seen.median) == (3, 4.25, 2.0)
    assert (seen.seconds, seen.own_seconds) == ([0, 1, 1, 0, 1], (0, 0, 0, 0, 1))
    assert seen.silence == pytest.approx(1.75)
    assert (seen.own_silence, seen.reached, seen.cut) == (1.75, 3, 0)


CUT = {
    "quiet for as long as it must be": (5.0, 1.0, 0),
    "quiet for less": (5.6, 1.0, 1),
    "no quiet period": (5.99, 0.0, 0),
    "nothing came": (0.0, 7.0, 0),
}


@pytest.mark.parametrize(("at", "quiet", "cut"), CUT.values(), ids=CUT)
def test_a_drain_that_was_cut(at: float, quiet: float, cut: int) -> None:
    """Its server stopped listening before the quiet period was over."""
    fields = last(at, listened=6.0) | {"settings": {**SETTINGS, "quiet": quiet}}
    if not at:
        fields["connections"] = []
    assert tally_of(fields).used().connections.cut == cut


def test_the_settings_are_those_of_the_newest_drain() -> None:
    """However the logs are sorted; without times, the last one counts."""
    old = {"timestamp": "2026-03-01", "settings": {**SETTINGS, "settle": 3.0}}
    new = {"timestamp": "2026-03-02", "settings": {**SETTINGS, "settle": 4.0}}
    for order in ((old, new), (new, old)):
        assert tally_of(*order).newest.settle == 4.0
    old["timestamp"] = new["timestamp"] = None
    assert tally_of(old, new).newest.settle == 4.0


def test_each_drain_is_used_once() -> None:
    """By its connections, else by its requests, and not at all if it did not wait."""
    tally = tally_of(
        {},
        {"last_connection": None},
        {"last_connection": None, "last_request": None},
        {"forced": True, "after_closing": 9},
        {"settle_factor": 2, "after_closing": 2},
    )
    used = tally.used()
    counts = used.connections.drains, used.requests.drains, tally.blind, tally.hurried
    assert counts == (2, 1, 1, 1)
    assert (tally.factor, used.connections.after_closing) == (2.0, 2)


LONG_AGO = {"timestamp": "2026-03-01", "settings": {**SETTINGS, "grace_period": 20.0}}


def test_older_settings_are_left_out_once_there_are_enough_drains() -> None:
    """A drain that was cut under an older grace period must not spoil the result for ever."""
    old = [{**last(14.9, listened=15.0), **LONG_AGO}] * 3
    few, enough = (tally_of(*old, *[{}] * count) for count in (FEWEST - 1, FEWEST))
    assert (few.used().connections.drains, few.used().connections.cut) == (FEWEST + 2, 3)
    assert (enough.used().connections.drains, enough.used().connections.cut) == (FEWEST, 0)
    assert (few.drains, enough.drains) == (FEWEST + 2, FEWEST + 3)


def test_a_drain_that_was_cut_is_left_out_once_newer_ones_have_listened_for_longer() -> None:
    """Otherwise each longer settle would be called too short again."""
    old = [{**last(5.9, listened=6.0), **LONG_AGO}] * 10
    longer = {**last(8.0, listened=12.0), "settings": {**SETTINGS, "settle": 12.0}}
    used = tally_of(*old, *[longer] * 5).used().connections
    assert (used.drains, used.cut) == (5, 0)


def test_samples_together_are_one_sample() -> None:
    """In whatever order they were added."""
    every = [last(at, listened=9.0) | {"after_closing": 1} for at in (1.5, 0.5, 7.25, 2.0)]
    whole = tally_of(*every).used().connections
    left, right = (tally_of(*some).used().connections for some in (every[:1], every[1:]))
    left.merge(right)
    assert left.evidence(5.0, 1.0) == whole.evidence(5.0, 1.0)
    assert (left.first, left.after_closing) == (whole.first, whole.after_closing) == (0.5, 4)
    assert left.histogram() == whole.histogram()


def test_settings_that_change_all_the_time_take_bounded_space() -> None:
    """The newest are kept."""
    tally = tally_of(
        *({"settings": {**SETTINGS, "settle": n / 100}} for n in range(SETTINGS_KEPT + 10))
    )
    assert tally.drains == SETTINGS_KEPT
    assert tally.newest.settle == (SETTINGS_KEPT + 9) / 100

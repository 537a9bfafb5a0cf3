"""The rule: right within 20 %, never short, and unsure when the drains cannot tell."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.tune.rule import (
    DRAINS_TO_COVER,
    FEWEST,
    GAP,
    LONGEST,
    Advice,
    Doubt,
    Evidence,
    Verdict,
    advise,
    rounded,
    tail_rate,
)
from lifecycle.tune.seen_drain import seen_drain
from lifecycle.tune.tally import Tally
from tests.unit.tune.reports import drain

SEEDS = range(10)


def evidence(**fields: Any) -> Evidence:
    """Twenty drains with 20 connections a second each, that are over at 2 s."""
    seen = {
        "drains": 20,
        "last": 2.0,
        "median": 2.0,
        "seconds": [400, 400, 1],
        "silence": 4.0,
        "own_seconds": [20, 20, 1],
        "own_silence": 4.0,
        "reached": 20,
        "cut": 0,
        "longest": 6.0,
        "settle": 5.0,
    }
    return Evidence(**{**seen, **fields})  # type: ignore[arg-type]


def advice(seed: int, count: int, propagation: float, **options: Any) -> Advice:
    """Let so many random drains be judged."""
    rng = random.Random(seed)
    found = [seen_drain(drain(rng, propagation, **options)) for _ in range(count)]
    tally = Tally(found[0])
    for each in found:
        tally.add(each, "log:1")
    return advise(tally.used().connections.evidence(tally.newest.settle, tally.factor))


@pytest.mark.parametrize("same", [True, False], ids=["all at once", "one after another"])
@pytest.mark.parametrize("settle", [1.0, 5.0, 100.0])
@pytest.mark.parametrize("propagation", [2.0, 10.0, 60.0])
def test_right_within_20_percent_and_never_short(
    propagation: float, settle: float, *, same: bool
) -> None:
    """With 20 drains, 20 clients and 20 connections a second, whatever settle is."""
    for seed in SEEDS:
        found = advice(seed, 20, propagation, settle=settle, same=same)
        if found.doubt is Doubt.NOT_OVER:  # the last clients ask seldom, and quiet was too short
            assert found.settle == found.measure
            assert settle < propagation
            continue
        value = settle if found.verdict is Verdict.RIGHT else found.settle
        assert value is not None
        assert propagation <= value, (seed, found)
        assert found.verdict is Verdict.RIGHT or value <= 1.2 * propagation, (seed, found)
        assert found.sure
        short, long = settle < 0.9 * propagation, settle > 1.5 * propagation
        assert not short or found.verdict is Verdict.TOO_SHORT
        assert not long or found.verdict is Verdict.LONGER


@pytest.mark.parametrize("propagation", [2.0, 10.0, 60.0])
def test_measured_again_it_is_right(propagation: float) -> None:
    """Who sets what was advised, and measures again, comes to the right value."""
    for seed in SEEDS:
        settle, rounds = 1.0, 0
        while True:
            found = advice(seed + 100 * rounds, 20, propagation, settle=settle)
            if found.verdict is Verdict.RIGHT and found.sure:
                break
            assert found.settle is not None
            settle, rounds = found.settle, rounds + 1
            assert rounds < 9, (seed, settle, found)
        assert propagation <= settle <= 1.25 * propagation * (1 + 0.25 * (propagation < 5))


@pytest.mark.parametrize("count", [1, 5, FEWEST - 1])
def test_few_drains_are_not_enough_to_shorten_settle(count: int) -> None:
    """The estimate is given, and how many are missing."""
    found = advice(1, count, 2.0, rate=50.0)
    assert (found.sure, found.doubt) == (False, Doubt.FEW_DRAINS)
    assert found.more_drains == FEWEST - count
    assert found.settle is not None


def test_a_service_with_a_request_every_ten_seconds_cannot_tell() -> None:
    """Neither with one drain nor with twenty: it is said how many more are needed."""
    for count in (1, 5, 20):
        for seed in SEEDS:
            found = advice(seed, count, 2.0, rate=0.1, clients=3)
            assert found.verdict is Verdict.UNKNOWN
            assert not found.sure
            assert found.doubt in (Doubt.LITTLE_LOAD, Doubt.NOTHING_CAME)
            if found.doubt is Doubt.LITTLE_LOAD:
                assert found.more_drains is not None
                assert found.more_drains >= FEWEST - count


def test_with_as_many_drains_as_it_asked_for_it_can_tell() -> None:
    """At one connection a second, the number that is asked for is about right."""
    enough = 0
    for seed in SEEDS:
        first = advice(seed, 5, 10.0, rate=1.0, clients=20, settle=12.0, same=True)
        assert first.more_drains is not None
        later = advice(seed, 5 + first.more_drains, 10.0, rate=1.0, settle=12.0, same=True)
        enough += later.sure
        if later.sure and later.verdict is not Verdict.RIGHT:
            assert later.settle is not None
            assert later.settle >= 10.0
    assert enough > 0.6 * len(SEEDS)


def test_a_drain_that_ended_at_its_deadline_is_too_short() -> None:
    """Clients still came: the propagation is longer than anything that was seen."""
    found = advice(1, 20, 60.0, rate=50.0, longest=25.0, same=True)
    assert (found.verdict, found.doubt) == (Verdict.TOO_SHORT, Doubt.CUT)
    assert found.settle == 50.0 == found.measure


def test_one_cut_drain_is_enough() -> None:
    """Among many that were not."""
    assert advise(evidence(cut=1)).verdict is Verdict.TOO_SHORT


def test_nothing_came() -> None:
    """No load, or all noticed at once: nobody can tell."""
    found = advise(evidence(last=0.0, median=0.0, seconds=[], own_seconds=[]))
    assert (found.verdict, found.doubt) == (Verdict.UNKNOWN, Doubt.NOTHING_CAME)
    assert (found.settle, found.more_drains, found.resolution) == (None, None, None)


def test_who_came_after_settle_proves_that_it_is_too_short() -> None:
    """Even a single one."""
    found = advise(evidence(drains=1, last=7.0, median=7.0, seconds=[0] * 7 + [1], silence=1.0))
    assert found.verdict is Verdict.TOO_SHORT
    assert found.settle is not None
    assert found.settle > 7.0
    assert not found.sure


def test_a_slow_drain_among_many_is_judged_by_itself() -> None:
    """The others have stopped listening long before, and prove nothing about it."""
    rng = random.Random(3)
    found = [seen_drain(drain(rng, 2.0)) for _ in range(30)]
    found.append(seen_drain(drain(rng, 20.0, rate=50.0, same=True)))
    tally = Tally(found[0])
    for each in found:
        tally.add(each, "log:1")
    result = advise(tally.used().connections.evidence(5.0, 1.0))
    assert (result.verdict, result.sure) == (Verdict.TOO_SHORT, True)
    assert result.settle is not None
    assert 20.0 <= result.settle <= 28.0
    assert result.covers == pytest.approx(0.05)  # one drain has seen so far


def test_a_server_that_renews_connections_needs_twice_the_time() -> None:
    """As with gRPC: the new connections come until half of it."""
    once, twice = advise(evidence()), advise(evidence(factor=2.0))
    assert once.verdict is Verdict.LONGER
    assert twice.verdict is Verdict.RIGHT
    assert advise(evidence(factor=2.0, settle=3.0)).settle == pytest.approx(4.5)


def test_drains_that_differ_get_more() -> None:
    """The fewer there are, the more."""
    alike = advise(evidence()).settle
    few, many = (
        advise(evidence(median=1.0, drains=count, reached=count)).settle for count in (10, 1000)
    )
    assert alike is not None
    assert few is not None
    assert many is not None
    assert few > many >= alike


def test_how_much_the_drains_cover() -> None:
    """As in the tables of order statistics: 59 for 95 %, with a confidence of 95 %."""
    assert DRAINS_TO_COVER == 59
    for reached, covers in ((1, 0.05), (10, 0.74), (20, 0.86), (59, 0.95), (299, 0.99)):
        found = advise(evidence(reached=reached))
        assert found.covers == pytest.approx(covers, abs=0.005)
        assert found.more_to_cover == max(0, 59 - reached)


RATES = {
    "none": ([], 0.0, 0.0),
    "one": ([0, 1], 1.5, 0.0),
    "a few, from the start": ([3], 0.5, 4.0),
    "the last ten": ([100, 100, 20], 2.5, 119 / 1.5),
    "a crowd in one moment is not the rate": ([5, 5, 50], 2.01, 54 / 1.01),
    "fewer and fewer": ([500, 20, 4, 2, 3], 4.5, 28 / 3.5),
    "everything after the last second": ([*[0] * 119, 41], 139.0, 2.0),
    "the last time is at the start of a second": ([10, 10, 1], 2.0, 10.0),
}


@pytest.mark.parametrize(("seconds", "last", "rate"), RATES.values(), ids=RATES)
def test_the_rate_before_the_last_one(seconds: list[int], last: float, rate: float) -> None:
    """Of the last ten connections at least, over a second at least."""
    assert tail_rate(seconds, last) == pytest.approx(rate)


ROUNDED = {0.01: 0.1, 2.2: 2.2, 2.21: 2.3, 4.99: 5.0, 5.1: 5.5, 11.0: 11.0, 30.2: 31, 9e9: LONGEST}


@pytest.mark.parametrize(("seconds", "shown"), ROUNDED.items())
def test_a_setting_is_rounded_up(seconds: float, shown: float) -> None:
    """To what people write, and never down."""
    assert rounded(seconds) == shown


TIMES = st.floats(0, 86_400)
COUNTS = st.lists(st.integers(0, 10**9), max_size=120)


@given(
    st.builds(
        Evidence,
        drains=st.integers(1, 10**6),
        last=TIMES,
        median=TIMES,
        seconds=COUNTS,
        silence=TIMES,
        own_seconds=COUNTS,
        own_silence=TIMES,
        reached=st.integers(1, 10**6),
        cut=st.integers(0, 5),
        longest=TIMES,
        settle=st.floats(0, 3600),
        factor=st.floats(1, 100),
    )
)
def test_no_evidence_is_too_strange(seen: Evidence) -> None:
    """There is always an advice, and it keeps its promises."""
    seen = seen._replace(median=min(seen.median, seen.last), longest=max(seen.longest, seen.last))
    found = advise(seen)
    assert found.sure == (found.doubt is Doubt.NONE)
    assert 0 < found.covers <= 1
    if found.settle is not None:
        assert 0 <= found.settle <= LONGEST
        if found.verdict is Verdict.TOO_SHORT:
            assert found.settle >= min(LONGEST, max(seen.last, seen.settle)) - 1e-5
        if found.verdict is Verdict.LONGER:
            assert found.settle < seen.settle
            assert found.settle >= min(LONGEST, seen.factor * seen.last) - 1e-5
    if found.more_drains is not None:
        assert found.more_drains >= 0


@given(st.integers(1, 200), st.integers(2, 10**6))
def test_more_load_is_never_less_sure(last: int, count: int) -> None:
    """And the gap that may be unseen gets shorter."""
    seconds = [count] * min(last, 120)
    less = advise(evidence(last=float(last), median=float(last), seconds=seconds))
    more = advise(
        evidence(last=float(last), median=float(last), seconds=[2 * each for each in seconds])
    )
    if less.resolution is not None:
        assert more.resolution is not None
        assert more.resolution < less.resolution
        assert less.resolution == pytest.approx(GAP / less.rate)
    assert math.isfinite(more.rate)

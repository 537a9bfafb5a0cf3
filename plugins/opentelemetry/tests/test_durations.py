"""Durations that give the numbers of a snapshot again."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_opentelemetry.durations import Seen, durations

from lifecycle.calls.durations import BOUNDS, Durations

SECONDS = st.lists(st.floats(min_value=0.0, max_value=1000.0), max_size=30)


def recorded(values):
    """The same, as the core counts them."""
    counted = Durations()
    for each in values:
        counted.note(each)
    return counted.status()


@given(SECONDS)
def test_the_counts_and_the_sum_are_exact(values):
    """Whatever the runs were; the sum of a snapshot is rounded to a microsecond."""
    runs = recorded(values)
    made = [*durations(runs["bounds"], runs["counts"], runs["seconds"])]
    counts = [0] * (len(BOUNDS) + 1)
    for each in made:
        counts[bisect_left(BOUNDS, each)] += 1
    assert counts == runs["counts"]
    assert sum(made) == pytest.approx(sum(values), abs=1e-4)


@given(SECONDS, SECONDS)
def test_only_what_is_new_is_recorded(first, second):
    """Since the last snapshot; and nothing if there was nothing new."""
    seen = Seen()
    assert len([*seen.new(("a",), recorded(first))]) == len(first)
    assert len([*seen.new(("a",), recorded([*first, *second]))]) == len(second)
    assert not [*seen.new(("a",), recorded([*first, *second]))]
    assert len([*seen.new(("b",), recorded(second))]) == len(second)


def test_another_app_of_the_same_process_starts_anew():
    """Its numbers are lower than those before."""
    seen = Seen()
    assert len([*seen.new((), recorded([0.1, 0.2, 9.0]))]) == 3
    assert len([*seen.new((), recorded([0.1]))]) == 1

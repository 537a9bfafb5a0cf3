"""The values of a report are checked before anything is computed from them."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.tune.seen_drain import BadReport, OldReport, Series, seen_drain
from tests.unit.tune.reports import SETTINGS, report

PRESTOP = {"settle": 5.0, "wait": 6.1, "signal": 7.4, "stop": 7.5}


def test_a_report_of_a_pod() -> None:
    """Everything that is needed, and nothing else."""
    found = seen_drain(report(after_closing=2, settle_factor=2))
    assert found._asdict() == {
        "services": ("orders",),
        **SETTINGS,
        "listened": 6.1,
        "connections": Series(1.9, (20, 18)),
        "requests": Series(3.2, (25, 20, 3, 1)),
        "settle_factor": 2.0,
        "after_closing": 2,
        "forced": False,
        "timestamp": "2026-03-02T10:15:48.512Z",
    }
    assert found.waited


LISTENED = {
    "until it was told to stop": ({}, 6.1),
    "until SIGTERM after preStop": ({"steps": PRESTOP}, 7.4),
    "as the server itself reports": ({"steps": PRESTOP, "listened": 5.0}, 5.0),
}


@pytest.mark.parametrize(("fields", "seconds"), LISTENED.values(), ids=LISTENED)
def test_how_long_a_server_has_listened(fields: dict[str, Any], seconds: float) -> None:
    """Later connections were refused, and nobody has seen them."""
    assert seen_drain(report(**fields)).listened == seconds


HURRIED = {
    "main ended by itself": {"steps": {"settle": 0.0, "wait": 0.0}},
    "a second signal": {"forced": True},
    "a second signal before settle": {"steps": {"wait": 2.0}},
    "nothing to wait for": {
        "settings": {**SETTINGS, "settle": 0.0, "quiet": 0.0},
        "steps": {"wait": 0.01},
    },
}


@pytest.mark.parametrize("fields", HURRIED.values(), ids=HURRIED)
def test_a_drain_that_did_not_wait(fields: dict[str, Any]) -> None:
    """It proves nothing about clients."""
    assert not seen_drain(report(**fields)).waited


def test_without_connections_there_may_be_requests() -> None:
    """And without both there is nothing."""
    found = seen_drain(report(last_connection=None, connections=None))
    assert (found.connections, found.requests is None) == (None, False)
    found = seen_drain(report(last_connection=None, last_request=None))
    assert (found.connections, found.requests) == (None, None)


@pytest.mark.parametrize("missing", ["services", "settings"])
def test_an_older_report(missing: str) -> None:
    """It does not say whose drain it was, and how long settle was."""
    with pytest.raises(OldReport):
        seen_drain(report(**{missing: None}))


WRONG: list[Any] = ["5", None, True, -1, math.nan, math.inf, 1e300, [], {}]
FIELDS = ("last_connection", "last_request", "listened", "settle_factor", "after_closing")


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("name", FIELDS)
def test_a_value_that_no_report_has(name: str, value: object) -> None:
    """A log may contain anything."""
    if value is None or (name == "after_closing" and value == 1e300):
        return
    with pytest.raises(BadReport):
        seen_drain(report(**{name: value}))


@pytest.mark.parametrize(
    "fields",
    [
        {"settings": []},
        {"settings": {"settle": 5.0}},
        {"settings": {**SETTINGS, "settle": "5"}},
        {"services": "orders"},
        {"services": []},
        {"steps": []},
        {"steps": {"settle": 5.0}},
        {"connections": None},
        {"connections": "many"},
        {"connections": [1] * 121},
        {"connections": [1, -1]},
        {"connections": [1, "2"]},
        {"arrivals": [10**10]},
    ],
    ids=str,
)
def test_a_shape_that_no_report_has(fields: dict[str, Any]) -> None:
    """It is refused, and named."""
    with pytest.raises(BadReport):
        seen_drain(report(**fields))


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(report())), ANYTHING))
def test_no_report_is_too_strange(fields: dict[str, Any]) -> None:
    """It is read, or refused with a reason."""
    with suppress(BadReport):
        assert seen_drain({"steps": {}, **report(), **fields}).services

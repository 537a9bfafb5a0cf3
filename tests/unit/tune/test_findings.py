"""What is printed for each service."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterable
from typing import Any

import pytest

from lifecycle.tune import survey as surveys
from lifecycle.tune.findings import Finding, as_json, findings
from lifecycle.tune.survey import Survey
from lifecycle.tune.text import render
from tests.unit.tune.reports import SETTINGS, drain, line, of_times


def survey_of(*lines: str) -> Survey:
    found = Survey()
    found.read("app.log", io.BytesIO("\n".join(lines).encode("utf-8", "surrogatepass")))
    return found


def shown(*lines: str) -> str:
    return render(findings(survey_of(*lines)))


def drains(count: int, propagation: float, **options: Any) -> list[str]:
    rng = random.Random(1)
    return [json.dumps(drain(rng, propagation, **options)) for _ in range(count)]


def test_a_setting_that_is_longer_than_needed() -> None:
    """The setting to write, the distribution, and how sure it is."""
    text = shown(*drains(30, 2.0))
    assert text.splitlines()[0] == (
        "orders: settle (5 s) is longer than needed. Set LIFECYCLE_SETTLE=2.4"
    )
    assert "30 drains. Seconds from the drain start to the last new connection:" in text
    assert "min 0.50, median 1.60, p90 1.92, max 1.99 (app.log:16)" in text
    assert "█" * 40 in text
    assert "These drains cover at least 90 % of all drains (95 % confidence)" in text
    assert "29 more drains would cover 95 %" in text
    assert "Not sure" not in text


@pytest.mark.parametrize(("count", "risk"), [(9, False), (10, True), (19, True), (20, False)])
def test_the_risk_of_few_drains(count: int, risk: bool) -> None:
    """It is shown where the result is sure, and the simulation has found values that were short."""
    (found,) = findings(survey_of(*drains(count, 2.0)))
    text = render([found])
    assert ("about 1 of 700 values was too short. With 20 drains, none was." in text) == risk
    assert found.advice is not None
    assert found.advice.short_one_in == (700 if risk else None)


def test_a_setting_that_is_right() -> None:
    """It is kept, and nothing is asked for."""
    text = shown(*drains(60, 2.0, settle=2.2))
    assert text.splitlines()[0] == "orders: settle is right. Keep LIFECYCLE_SETTLE=2.2"
    assert "95 % confidence)." in text
    assert "more drains" not in text


def test_a_setting_that_is_too_short() -> None:
    """With the grace period that the new one needs."""
    text = shown(*drains(20, 60.0, rate=200.0, settle=5.0))
    assert "orders: settle (5 s) is too short. Set LIFECYCLE_SETTLE=" in text.splitlines()[0]
    assert "Set LIFECYCLE_GRACE_PERIOD and terminationGracePeriodSeconds to at least" in text
    assert "Now: 30 s." in text


def test_drains_that_were_cut() -> None:
    """What may be the cause, and a value with which to measure again."""
    text = shown(*drains(3, 60.0, longest=25.0, rate=50.0, same=True))
    head, *_ = text.splitlines()
    assert head.endswith("is too short. Set LIFECYCLE_SETTLE=50 and measure again")
    assert "In 3 of 3 drains, clients still came when the server stopped listening" in text
    assert "LIFECYCLE_QUIET_IGNORE" in text


def test_too_few_drains() -> None:
    """The estimate so far, and how many are missing."""
    text = shown(*drains(4, 2.0, rate=50.0))
    assert text.splitlines()[0] == (
        "orders: settle may be longer than needed. Keep LIFECYCLE_SETTLE=5 for now"
    )
    assert "6 more drains are needed at the same load." in text
    assert "The estimate so far is LIFECYCLE_SETTLE=2." in text


def test_too_little_load() -> None:
    """A request every ten seconds."""
    text = shown(*drains(20, 2.0, rate=0.1, clients=3))
    assert text.splitlines()[0] == "orders: not known. Keep LIFECYCLE_SETTLE=5"
    assert "Not sure, because there is little load." in text
    assert "more drains are needed at the same load." in text


def test_nothing_came() -> None:
    """Then nobody can tell."""
    text = shown(line(last_connection=0.0, connections=[]))
    assert "Nothing came after the drain start." in text


def test_stopped_too_early() -> None:
    """The last clients ask too seldom for a quiet period of a second."""
    text = shown(*drains(20, 60.0, rate=20.0, clients=15))
    assert "and measure again" in text.splitlines()[0]
    assert "the servers stopped listening too early" in text


def test_only_requests_are_known() -> None:
    """The value is an upper limit, and it is said why."""
    rng = random.Random(1)
    lines = [
        json.dumps(drain(rng, 2.0) | {"last_connection": None, "connections": None})
        for _ in range(12)
    ]
    text = shown(*lines)
    assert "to the last request:" in text
    assert "Requests on keep-alive connections count too" in text
    text = shown(*lines, *drains(12, 2.0))
    assert "12 drains did not show connections, and are left out." in text


def test_a_server_that_renews_its_connections() -> None:
    """With gRPC it is twice the time that was measured."""
    text = shown(*drains(20, 2.0, settle_factor=2))
    assert "The value is 2 times the measured time" in text


def test_connections_that_came_at_the_last_moment() -> None:
    """They were in the queue of a listener that closed."""
    text = shown(*drains(12, 2.0, after_closing=1))
    assert "12 connections came while a server closed its listener." in text


def test_drains_that_cannot_be_used() -> None:
    """And why."""
    text = shown(line(forced=True), line(last_connection=None, last_request=None))
    assert text.splitlines()[0] == "orders: not known"
    assert "1 drain did not wait for clients" in text
    assert "1 drain did not count requests" in text


def test_each_service_has_its_own_result() -> None:
    """Sorted by name; the services of one pod belong together."""
    text = shown(
        *drains(12, 2.0, services=["users", "admin"]),
        *drains(12, 10.0, services=["orders"]),
    )
    heads = [row for row in text.splitlines() if row and not row.startswith(" ")]
    assert [head.partition(":")[0] for head in heads] == ["orders", "users, admin"]
    assert "too short" in heads[0]
    assert "longer than needed" in heads[1]


def test_a_hostile_name_stays_on_its_line() -> None:
    """The logs choose the names."""
    text = shown(line(services=["\x1b[2J\nother: settle is right"]))
    assert "\x1b" not in text
    assert text.count("other: settle is right") == 1
    assert "\\nother: settle is right" in text


def test_too_many_services(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted, and take no memory."""
    monkeypatch.setattr(surveys, "MOST_SERVICES", 3)
    found = survey_of(*(line(services=[f"service-{n}"]) for n in range(5)))
    assert (len(found.tallies), found.others, found.reports) == (3, 2, 3)


def test_what_cannot_be_read_is_counted() -> None:
    """With the place of the first one, and without stopping."""
    old = json.dumps({"event": "drain report", "steps": {}, "cause": "SIGTERM"})
    found = survey_of(
        "hello", line()[:-5], line(settings={}), old, line(), b"\xff".decode("latin-1")
    )
    assert (found.reports, found.unread, found.old, found.lines) == (1, 2, 1, 6)
    assert found.first_unread is not None
    assert found.first_unread.where == "app.log:2"


def keys(found: Iterable[Finding], survey: Survey) -> Any:
    return json.loads(json.dumps(as_json([*found], survey)))


def test_the_same_as_json() -> None:
    """For programs: every number that the text has."""
    survey = survey_of(*drains(30, 2.0), line(services=["idle"], forced=True))
    found = keys(findings(survey), survey)
    idle, orders = found["services"]
    assert (found["reports"], found["lines"], found["unreadable"], found["old"]) == (31, 31, 0, 0)
    assert (
        idle
        | {
            "service": "idle",
            "verdict": "not known",
            "sure": False,
            "advised": None,
            "setting": "LIFECYCLE_SETTLE=5",
            "not_used": {"older": 0, "hurried": 1, "unknown": 0, "requests": 0},
        }
        == idle
    )
    assert (
        orders
        | {
            "service": "orders",
            "verdict": "longer than needed",
            "sure": True,
            "settle": 5.0,
            "advised": 2.4,
            "setting": "LIFECYCLE_SETTLE=2.4",
            "basis": "connections",
            "drains": 30,
            "doubt": "",
            "more_drains": 0,
            "more_drains_to_cover_95_percent": 29,
            "measure_with": None,
            "cut": 0,
            "grace_period_at_least": None,
        }
        == orders
    )
    assert orders["last"].keys() == {"min", "median", "p90", "max", "max_in"}
    assert sum(bar["drains"] for bar in orders["histogram"]) == 30


def test_the_grace_period_that_a_value_needs() -> None:
    """settle + quiet + stop_timeout + 2, as the settings demand it."""
    times = [number / 50 for number in range(1, 2001)]
    settings = {**SETTINGS, "grace_period": 60.0}
    rows = [of_times(times, settle=5.0, quiet=1.0) for _ in range(12)]
    survey = survey_of(*(json.dumps({**row, "settings": settings}) for row in rows))
    (found,) = findings(survey)
    assert found.settle == 45.0
    assert found.grace_period is None
    survey = survey_of(*map(json.dumps, rows))
    (found,) = findings(survey)
    assert found.grace_period == 45.0 + 1 + 3 + 2

"""The annotation with the state of the app: what is written is what lifecycle-fleet reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_fleet.view import told
from lifecycle_kubernetes.layout import ANNOTATION, patch
from lifecycle_kubernetes.status import STATUS, status, status_patch

import lifecycle
from lifecycle.states import TRANSITIONS

SECONDS = st.floats(0, 1e5, allow_nan=False).map(lambda each: round(each, 3))
NAMES = st.lists(st.text(min_size=1, max_size=300), max_size=120, unique=True)


def snapshot(
    state: str = "ready",
    *,
    since: float = 1764530000.123,
    cause: str | None = "ready",
    start: float | None = 3.2,
    online: list[str] | None = None,
    offline: list[str] | None = None,
) -> Any:
    """Return as much of a snapshot as the annotation is made from."""
    services = [(name, True) for name in online or ()] + [(name, False) for name in offline or ()]
    return {
        "state": state,
        "since": since,
        "transitions": [] if cause is None else [{"cause": "earlier"}, {"cause": cause}],
        "version": "0.2.0",
        "start": {"seconds": 1.0 if start is None else start, "over": start is not None},
        "services": [{"name": name, "online": so} for name, so in services],
    }


def config(**settings: Any) -> lifecycle.Config:
    return lifecycle.Config(**settings)


def test_the_form_is_the_agreed_one() -> None:
    """One line, compact, with numbers as people write them."""
    text = status(snapshot(online=["orders"], offline=["admin"]), config(), 22222)

    assert text == (
        '{"state":"ready","since":1764530000.123,"cause":"ready","version":"0.2.0","settle":5,'
        '"grace":30,"start":3.2,"online":["orders"],"offline":["admin"],"qos_port":22222}'
    )


def test_the_settle_time_is_that_of_the_drain() -> None:
    """A registry may need longer than the setting; an older core does not say so."""
    told = snapshot() | {"settle": 7.0, "settle_from": "zookeeper"}  # type: ignore[operator]

    assert json.loads(status(told, config(settle=3)))["settle"] == 7
    assert json.loads(status(snapshot(), config(settle=3)))["settle"] == 3


def test_what_is_not_known_yet_is_null() -> None:
    """A start that is not over has no seconds, and a port that is off has no number."""
    found = json.loads(status(snapshot("starting", cause=None, start=None), config()))

    assert (found["start"], found["qos_port"], found["cause"]) == (None, None, "")


@given(
    state=st.sampled_from([each.value for each in TRANSITIONS]),
    since=st.floats(0, 4e9).map(lambda each: round(each, 3)),
    cause=st.text(max_size=300),
    start=st.none() | SECONDS,
    settle=st.floats(0, 5),
    online=NAMES,
    offline=NAMES,
)
def test_what_is_written_is_what_the_fleet_reads(
    state: str,
    since: float,
    cause: str,
    start: float | None,
    settle: float,
    online: list[str],
    offline: list[str],
) -> None:
    """Every state, any cause and any name, each as one line of a terminal shows it."""
    text = status(
        snapshot(state, since=since, cause=cause, start=start, online=online, offline=offline),
        config(settle=settle),
        22222,
    )
    found = told.read({"annotations": {STATUS: text}})

    assert STATUS == told.ANNOTATION
    assert found is not None
    assert (found.state, found.since, found.version) == (state, since, "0.2.0")
    assert found.cause == told.one_line(cause)
    assert found.settle == pytest.approx(settle, abs=0.001)
    assert found.grace == 30
    assert found.start == start
    for read, names in ((found.online, online), (found.offline, offline)):
        assert read[:100] == tuple(map(told.one_line, names[:100]))
        assert read[100:] == (("…",) if len(names) > 100 else ())
    assert text.isascii()
    assert text.isprintable()


def test_the_fleet_knows_every_state() -> None:
    """What the fleet refuses to read would look like a pod that tells nothing."""
    assert set(told.STATES) == {each.value for each in lifecycle.State}


def test_the_annotation_rides_on_the_patch_of_the_registry() -> None:
    """Condition, Dubbo's annotation and ours in one request; alone, nothing else is touched."""
    orders = lifecycle.Instance("orders", "10.0.0.1", 8080, "x")

    both = patch("u1", [orders], 0.0, "{}")
    assert {*both["metadata"]["annotations"]} == {ANNOTATION, STATUS}
    assert STATUS not in patch("u1", [orders], 0.0)["metadata"]["annotations"]
    alone = {"metadata": {"uid": "u1", "annotations": {STATUS: "{}"}}}
    assert status_patch("u1", "{}") == alone

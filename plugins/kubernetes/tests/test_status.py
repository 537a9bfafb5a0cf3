"""The annotation with the state of the app: what is written is what lifecycle-fleet reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_fleet.view import told
from lifecycle_kubernetes.layout import ANNOTATION, patch
from lifecycle_kubernetes.status import MOST, STATUS, status, status_patch

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
    """Every state, any cause and as many names as fit, each as one line of a terminal shows it."""
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
    every = (
        (found.online, found.more_online, online),
        (found.offline, found.more_offline, offline),
    )
    for read, more, names in every:
        shown = tuple(map(told.one_line, names))
        assert read == shown[: len(read)]
        assert more == (len(read) < len(names))
        assert bool(read) == bool(names)
    assert text.isascii()
    assert text.isprintable()


LONGEST = "\U0001d54f" * 300
LISTS = {
    "a hundred short ones of each": ("o", 100, "a", 100, 100, 100),
    "a hundred and one": ("o", 101, "a", 1, 100, 1),
    "hundreds of long ones, all online": ("x" * 195, 300, "", 0, 80, 0),
    "all offline": ("", 0, "x" * 195, 300, 0, 80),
    "both": ("x" * 195, 300, "x" * 195, 300, 40, 40),
    "few are offline": ("x" * 195, 300, "a", 1, 80, 1),
    "few are online": ("o", 1, "x" * 195, 300, 1, 80),
    "names that take most space in JSON": (LONGEST, 300, LONGEST, 300, 3, 2),
}


@pytest.mark.parametrize("name", LISTS)
def test_the_annotation_is_not_longer_than_the_fleet_reads(name: str) -> None:
    """Neither list takes the space of the other one, and none of it is wasted."""
    online, many, offline, others, most_online, most_offline = LISTS[name]
    text = status(
        snapshot(
            cause=LONGEST if LONGEST in (online, offline) else "ready",
            online=[f"{number:03}{online}" for number in range(many)],
            offline=[f"{number:03}{offline}" for number in range(others)],
        ),
        config(),
        22222,
    )
    found = told.read({"annotations": {STATUS: text}})

    assert len(text) <= told.MOST
    assert found is not None
    assert (len(found.online), len(found.offline)) == (most_online, most_offline)
    assert (found.more_online, found.more_offline) == (most_online < many, most_offline < others)


def test_the_annotation_may_be_as_long_as_the_fleet_reads() -> None:
    """Not longer, whatever the length of the names, and hardly shorter."""
    lengths = [
        len(status(snapshot(online=names, offline=names[:few]), config()))
        for size in range(100, 198)
        for names in [[f"{number:02}{'x' * size}" for number in range(100)]]
        for few in (0, 50, 100)
    ]

    assert told.MOST - 2 <= max(lengths) <= told.MOST == MOST


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

"""The annotation of a pod, which anybody who may change the pod can write."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_fleet.view.told import ANNOTATION, LONGEST, MOST, STATES, Told, read
from lifecycle_kubernetes.status import status

import lifecycle
from plugins.fleet.tests.objects import told


def metadata(text: str) -> dict[str, Any]:
    return {"annotations": {ANNOTATION: text}}


def test_what_lifecycle_kubernetes_writes() -> None:
    """Every field is read."""
    given = json.loads(told(since=1764530000.5, offline=["admin"], cause="signal SIGTERM"))

    assert read(metadata(json.dumps(given))) == Told(
        state="ready",
        since=1764530000.5,
        cause="signal SIGTERM",
        version="0.2.0",
        settle=5.0,
        grace=30.0,
        start=3.2,
        online=("orders",),
        offline=("admin",),
        qos_port=22222,
    )


@pytest.mark.parametrize("port", [None, 1, 4711, 65535])
def test_the_port_that_lifecycle_kubernetes_writes(port: int | None) -> None:
    """By it, the container of the app is found. A port that is off is none."""
    snapshot: Any = {
        "state": "ready",
        "since": 1764530000.5,
        "transitions": [],
        "version": "0.2.0",
        "services": [],
    }
    found = read(metadata(status(snapshot, lifecycle.Config(), port)))

    assert found is not None
    assert found.qos_port == port


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "1", '"ready"', "{}", '{"state": "on"}', '{"state": ["ready"]}'),
        "[" * 10_000,
        '{"state": "ready", "x": ' + "1" * 5_000 + "}",
        '{"state": "ready", "x": "' + "x" * MOST + '"}',
    ],
    ids=lambda text: text[:20],
)
def test_what_cannot_be_read_is_nothing(text: str) -> None:
    """Another program may use the name."""
    assert read(metadata(text)) is None


def test_a_value_of_another_kind_is_left_out() -> None:
    """Also an integer that no float can hold, and what is not the name of a service."""
    odd = {"state": "ready", "since": 10**400, "grace": True, "online": [1, "", "a", ["b"]]}

    assert read(metadata(json.dumps(odd))) == Told("ready", online=("a",))


def test_a_pod_without_annotations() -> None:
    """The field may be missing, or null."""
    assert read({}) is None
    assert read({"annotations": None}) is None


Anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
FIELDS = st.sampled_from([*Told._fields])


@given(state=st.sampled_from(STATES), fields=st.dictionaries(FIELDS, Anything))
def test_whatever_is_written_is_safe(state: str, fields: dict[str, Any]) -> None:
    """Each text is short and printable, and each number is finite and not negative."""
    found = read(metadata(json.dumps(fields | {"state": state})))

    assert found is not None
    texts = [found.cause, found.version, *found.online, *found.offline]
    assert all(each.isprintable() and len(each) <= LONGEST for each in texts)
    numbers = [found.since, found.settle, found.grace, found.start, found.qos_port]
    assert all(each is None or 0 <= each < float("inf") for each in numbers)

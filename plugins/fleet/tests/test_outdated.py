"""The annotation of a container that was restarted: it is not what the app does now."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_fleet.view import pruned
from lifecycle_fleet.view.kind import kind_of
from lifecycle_fleet.view.pod import told_now, view
from lifecycle_fleet.view.problem import problem
from lifecycle_fleet.view.record import record
from lifecycle_fleet.view.table import COLUMNS
from lifecycle_fleet.view.traffic import leaves_traffic, stays_in_traffic

from plugins.fleet.tests import pods
from plugins.fleet.tests.pods import NOW, stamp, told

SPEC = [{"name": "proxy"}, {"name": "app", "ports": [{"name": "qos", "containerPort": 22222}]}]


def seen(since: float, started: float, *, proxy: float = NOW - 9000, known: bool = True) -> Any:
    """Return a pod whose container was started at a time, with a sidecar."""
    pod = pods.pod(annotation=told(since=since))
    pod["spec"]["containers"] = SPEC if known else [{"name": "proxy"}, {"name": "app"}]
    pod["status"]["containerStatuses"] = [
        {"name": name, "restartCount": 0, "state": {"running": {"startedAt": stamp(at)}}}
        for name, at in (("proxy", proxy), ("app", started))
    ]
    return pod


@given(started=st.floats(NOW - 10_000, NOW), later=st.floats(0, 1000), known=st.booleans())
def test_what_the_container_that_runs_has_told_counts(
    started: float, later: float, *, known: bool
) -> None:
    """Whatever fraction of a second the API server leaves out of the time of the start."""
    assert told_now(seen(started + later, started, known=known)) is not None


@given(started=st.floats(NOW - 8000, NOW), before=st.floats(2, 1000))
def test_what_the_container_before_it_has_told_does_not_count(
    started: float, before: float
) -> None:
    """An app that crashes cannot take back what it has told."""
    pod = seen(started - before, started)

    assert told_now(pod) is None
    assert told_now(pruned.pod(pod)) is None


@pytest.mark.parametrize("known", [True, False])
def test_a_sidecar_that_was_restarted_says_nothing_of_the_app(*, known: bool) -> None:
    """Its annotation is as old as the app."""
    pod = seen(NOW - 5000, NOW - 5001, proxy=NOW - 20, known=known)

    assert told_now(pod) is not None
    assert told_now(pruned.pod(pod)) is not None


@pytest.mark.parametrize("word", ["waiting CrashLoopBackOff", "ended 1"])
def test_the_last_words_of_a_container_that_does_not_run_count(word: str) -> None:
    """No other container has told anything since."""
    assert told_now(pods.pod(state=word)) is not None


def test_a_pod_without_the_annotation() -> None:
    """It tells nothing."""
    assert told_now(pods.pod(annotation=None)) is None


def restarted(text: str, started: float = NOW - 20, **given: Any) -> Any:
    """Return a pod whose container was restarted after the app has told something."""
    pod = pods.pod(annotation=text, **given)
    pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] = stamp(started)
    return pod


OFFLINE = told(since=NOW - 500, online=[], offline=["orders"])
CASES = {
    "ready, then offline": (OFFLINE, False, ("starting", "starting")),
    "offline, and ready again": (OFFLINE, True, ("running", "ready")),
    "failed": (told("failed", since=NOW - 30), False, ("starting", "starting")),
    "failed in its start": (told("starting", since=NOW - 30), False, ("starting", "starting")),
    "draining": (told("draining", since=NOW - 30), True, ("running", "ready")),
}


@pytest.mark.parametrize("name", CASES)
def test_a_restarted_container_is_shown_as_the_kubelet_sees_it(name: str) -> None:
    """Until the app tells its state again, nothing of the annotation is shown."""
    text, ready, (state, kind) = CASES[name]
    pod = restarted(text, ready=ready)
    found = view(pod, in_slices="yes")

    assert (found.state, kind_of(found), found.since) == (state, kind, NOW - 20)
    cells = {each.title: each.text(found, NOW) for each in COLUMNS}
    assert (cells["STATE"], cells["ONLINE"], cells["CAUSE"]) == (state, "-", "-")
    assert record(found)["told"] is None
    assert view(pruned.pod(pod), in_slices="yes") == found


def test_a_restarted_container_is_still_ours() -> None:
    """The annotation says so, whoever has written it."""
    pod = restarted(OFFLINE)
    assert view(pod).ours
    assert not view(pod).container


def test_a_restarted_container_that_ends_in_its_pod() -> None:
    """The deletion is what is known."""
    pod = restarted(OFFLINE, deleted=NOW + 25)

    assert (view(pod).state, view(pod).since) == ("terminating", NOW + 25)


def test_a_restarted_app_has_the_time_of_a_start() -> None:
    """Then somebody should look at it."""
    found = view(restarted(OFFLINE, ready=False))

    assert problem(found, NOW).text == ""
    assert problem(found, problem(found, NOW).until).text == "does not become ready"


def test_a_restarted_app_counts_for_its_services_as_the_slices_say() -> None:
    """What was offline before the restart is online, and what was online is not sure to be."""
    assert leaves_traffic(pods.pod(annotation=OFFLINE))
    assert not leaves_traffic(restarted(OFFLINE))
    online = told(since=NOW - 500, online=["admin", "orders"])
    assert stays_in_traffic(pods.pod(annotation=online), "orders")
    assert not stays_in_traffic(restarted(online), "orders")

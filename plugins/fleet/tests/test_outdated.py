"""The annotation of a container that was restarted: it is not what the app does now."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_fleet.view import pruned
from lifecycle_fleet.view.pod import told_now

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

"""Which pods somebody should look at."""

from __future__ import annotations

import math
from typing import Any

import pytest
from lifecycle_fleet.view.kind import kind_of
from lifecycle_fleet.view.pod import GONE, PodView, view
from lifecycle_fleet.view.problem import problem
from lifecycle_fleet.view.record import record

from plugins.fleet.tests import pods
from plugins.fleet.tests.pods import NOW, container, ended, told

LATE = "is still there after its grace period"


def seen(in_slices: str = "yes", **given: Any) -> PodView:
    """Return a pod as it is shown."""
    spec = given.pop("spec", {})
    pod = pods.pod(**given)
    return view(pod | {"spec": pod["spec"] | spec}, in_slices=in_slices)


SIDECAR = {"containers": [{"name": "proxy"}, {"name": "app", "ports": [{"containerPort": 4711}]}]}
SIDECAR_RUNS = container() | {"name": "proxy"}
SIDECAR_FAILS = container("waiting CrashLoopBackOff") | {"name": "proxy"}
FINE = {
    "ready": seen(),
    "ready, and no Service selects it": seen("-"),
    "not found by clients for a moment": seen("no", annotation=told(since=NOW - 5)),
    "offline, as somebody wants it": seen("no", annotation=told(online=[], offline=["orders"])),
    "starting": seen(annotation=told("starting", since=NOW - 60), ready=False),
    "stopped": seen(annotation=told("stopped"), ready=False),
    "draining": seen(
        "no", annotation=told("draining", since=NOW - 20), ready=False, deleted=NOW + 10
    ),
    "deleted, and it does not know yet": seen(deleted=NOW + 30),
    "waits for its node": seen(
        annotation=None, ready=False, status={"phase": "Pending", "containerStatuses": []}
    )._replace(since=NOW - 60),
    "a Job that is done": seen(annotation=None, ready=False, state="ended 0"),
    "restarted cleanly": seen(restarts=1, last=ended(0)),
    "offline, with a sidecar that is restarted": seen(
        "no",
        annotation=told(online=[], offline=["orders"], qos_port=4711),
        spec=SIDECAR,
        status={"containerStatuses": [SIDECAR_FAILS, container()]},
    ),
    "gone": seen("no", annotation=told("draining"), deleted=NOW - 900)._replace(state=GONE),
    "killed long ago": seen(restarts=1, last=ended(137, NOW - 4000)),
    "without pod-lifecycle": seen("-", annotation=None),
    "without pod-lifecycle, and it ends": seen(annotation=None, deleted=NOW + 5),
}
BAD = {
    "failed: no database": seen(annotation=told("failed", cause="no database")),
    "failed": seen(annotation=told("failed", cause="")),
    "CrashLoopBackOff": seen(annotation=None, ready=False, state="waiting CrashLoopBackOff"),
    "ImagePullBackOff": seen(annotation=told(), ready=False, state="waiting ImagePullBackOff"),
    "PostStartHookError": seen(
        "no",
        ready=False,
        annotation=told(online=[], offline=["orders"], qos_port=4711),
        spec=SIDECAR,
        status={"containerStatuses": [SIDECAR_RUNS, container("waiting PostStartHookError")]},
    ),
    "Error": seen(annotation=None, ready=False, state="ended 1"),
    "does not start": seen(
        annotation=None, ready=False, status={"phase": "Pending", "containerStatuses": []}
    )._replace(since=NOW - 200),
    "does not become ready": seen(annotation=told("exporting", since=NOW - 700), ready=False),
    "the app is ready, but the pod is not": seen(ready=False),
    "is ready, but clients do not find it": seen("no"),
    LATE: seen(annotation=told("draining", since=NOW - 50), ready=False),
    "the last container was killed (OOMKilled)": seen(last=ended(137, NOW - 60, "OOMKilled")),
    "the last container was killed": seen(last=ended(137)),
    "the last drain cut off work": seen(last=ended(124)),
}


@pytest.mark.parametrize("name", FINE)
def test_nothing_is_wrong(name: str) -> None:
    """These pods are as they should be."""
    assert problem(FINE[name], NOW).text == ""


@pytest.mark.parametrize("text", BAD)
def test_something_is_wrong(text: str) -> None:
    """One sentence says what."""
    assert problem(BAD[text], NOW).text == text


def test_a_pod_that_does_not_go() -> None:
    """Kubernetes sets the deadline of a deleted pod, and it counts, not the annotation."""
    kept = seen(annotation=told("ready", since=NOW - 9000), deleted=NOW - 20)

    assert problem(kept, NOW).text == LATE
    assert problem(kept._replace(deadline=NOW + 20), NOW).text == ""


def test_a_hook_that_has_failed() -> None:
    """It is shown for an hour."""
    assert problem(seen(), NOW, NOW - 60).text == "the preStop hook failed"
    assert problem(seen(), NOW, NOW - 4000).text == ""


@pytest.mark.parametrize("pod", [*FINE.values(), *BAD.values()])
def test_the_answer_holds_until_it_says(pod: PodView) -> None:
    """So nobody has to look again before that time."""
    found = problem(pod, NOW)
    latest = min(found.until, NOW + 10_000_000) - 0.001

    assert found.until > NOW
    assert problem(pod, latest).text == found.text
    if found.until < math.inf:
        assert problem(pod, found.until) != found


@pytest.mark.parametrize(
    ("pod", "kind"),
    [
        (FINE["ready"], "ready"),
        (FINE["offline, as somebody wants it"], "offline"),
        (FINE["starting"], "starting"),
        (FINE["stopped"], "ended"),
        (FINE["draining"], "draining"),
        (FINE["deleted, and it does not know yet"], "draining"),
        (FINE["waits for its node"], "starting"),
        (FINE["a Job that is done"], "ended"),
        (FINE["without pod-lifecycle"], "ready"),
        (FINE["without pod-lifecycle, and it ends"], "draining"),
        (BAD["CrashLoopBackOff"], "not ready"),
        (BAD["the app is ready, but the pod is not"], "not ready"),
        (BAD["failed: no database"], "ended"),
        (BAD["Error"], "ended"),
        (BAD["PostStartHookError"], "not ready"),
        (FINE["offline, with a sidecar that is restarted"], "offline"),
        (FINE["gone"], "ended"),
    ],
)
def test_what_a_pod_does(pod: PodView, kind: str) -> None:
    """One of six words."""
    assert kind_of(pod) == kind


def test_a_record() -> None:
    """The same form everywhere, with all names."""
    pod = pods.pod(
        gate=True, status={"containerStatuses": [container(restarts=2, last=ended(124, NOW - 9))]}
    )
    pod["metadata"]["uid"] = "u1"

    assert record(view(pod, in_slices="yes"), "a problem") == {
        "namespace": "shop",
        "name": "orders-7d9f6c5b8-abcde",
        "uid": "u1",
        "node": "node-1",
        "workload": "deploy/orders",
        "revision": "7d9f6c5b8",
        "kind": "ready",
        "state": "ready",
        "since": NOW - 3600,
        "problem": "a problem",
        "ready": True,
        "registered": True,
        "in_slices": "yes",
        "restarts": 2,
        "leaving": False,
        "told": {
            "state": "ready",
            "since": NOW - 3600,
            "cause": "ready",
            "version": "0.2.0",
            "settle": 5.0,
            "grace": 30.0,
            "start": 3.2,
            "online": ["orders"],
            "offline": [],
        },
        "last_end": {"how": "cut off", "exit_code": 124, "at": NOW - 9, "reason": "Error"},
        "hook_failed": False,
    }
    without = record(view(pods.pod(annotation=None)))
    assert (without["told"], without["last_end"], without["registered"]) == (None, None, None)
    assert without.keys() == record(view(pod)).keys()


@pytest.mark.parametrize(
    ("code", "how"),
    [(0, "clean"), (143, "clean"), (137, "killed"), (124, "cut off"), (1, "failed")],
)
def test_how_a_container_has_ended(code: int, how: str) -> None:
    """By its exit code."""
    assert record(seen(last=ended(code)))["last_end"]["how"] == how

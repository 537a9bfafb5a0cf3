"""From changes on the API server to a rollout."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lifecycle_fleet.cluster.kinds import DEPLOYMENT, EVENT, POD, REPLICA_SET, SLICE, Kind
from lifecycle_fleet.rollout.fold import Fold
from lifecycle_fleet.rollout.outcome import Outcome, outcome
from lifecycle_fleet.rollout.pods import Phase
from lifecycle_fleet.rollout.result import Rollout, Verdict

from plugins.fleet.tests.rollout_objects import (
    NAME,
    NAMESPACE,
    T0,
    Object,
    deployment,
    done,
    endpoints,
    event,
    pod,
    ready_pod,
    replica_set,
)

SLOW: Any = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
"""The machine may be busy."""
Change = tuple[Kind, Object | None, Object | None]
READY = {"scheduled": T0, "running": T0 + 1, "ready": T0 + 2}


def started(*, replicas: int = 2, before: Object | None = None) -> Fold:
    """Return a fold of a Deployment with old pods, of which a rollout has just begun."""
    fold = Fold(NAMESPACE, NAME)
    first = before or done("1", replicas=replicas, generation=1)
    fold.take(DEPLOYMENT, None, first, T0, initial=True)
    fold.take(REPLICA_SET, None, replica_set("1", replicas=replicas), T0, initial=True)
    for number in range(replicas):
        fold.take(POD, None, ready_pod(f"old{number}"), T0, initial=True)
    fold.begin(T0)
    with fold.changing():
        fold.changed(deployment("2", replicas=replicas, observed=1), T0)
    return fold


def play(fold: Fold, changes: Iterable[Change]) -> Rollout:
    at = T0
    for number, (kind, old, new) in enumerate(changes, 1):
        at = T0 + number
        fold.take(kind, old, new, at)
    return fold.rollout(at)


def life_of_an_old_pod(name: str, **last: Any) -> list[Change]:
    deleted = ready_pod(name, deleted=T0)
    ended = ready_pod(name, deleted=T0, ready=None, **({"exit_code": 0} | last))
    return [(POD, None, deleted), (POD, None, ended), (POD, ended, None)]


def life_of_a_new_pod(name: str) -> list[Change]:
    return [(POD, None, each) for each in (pod(name), pod(name, scheduled=T0), pod(name, **READY))]


STREAMS: list[list[Change]] = [
    [
        (DEPLOYMENT, None, deployment("2", replicas=2, updated=1, total=3)),
        (DEPLOYMENT, None, done("2", replicas=2)),
    ],
    [
        (REPLICA_SET, None, replica_set("2", replicas=1)),
        (REPLICA_SET, None, replica_set("2", replicas=2)),
        (REPLICA_SET, None, replica_set("1", replicas=0)),
    ],
    life_of_a_new_pod("new0"),
    life_of_a_new_pod("new1"),
    life_of_an_old_pod("old0"),
    life_of_an_old_pod("old1", exit_code=137, reason="Error"),
    [(EVENT, None, event(ready_pod("old0"), "FailedPreStopHook"))],
    [(EVENT, None, event(pod("new1"), "CutOff"))],
    [
        (SLICE, None, endpoints(hash1_old0=True, hash1_old1=True)),
        (SLICE, None, endpoints(hash2_new0=True, hash2_new1=True)),
    ],
]
"""A whole rollout. The changes of each stream come in their order, and the streams in any."""


@st.composite
def interleaved(draw: st.DrawFn, *, twice: bool = False) -> list[Change]:
    """Return the changes of all streams, in an order that keeps that of each stream."""
    order = draw(st.permutations([n for n, each in enumerate(STREAMS) for _ in each]))
    left = [list(each) for each in STREAMS]
    found: list[Change] = []
    for number in order:
        change = left[number].pop(0)
        found.append(change)
        if twice and draw(st.booleans()):
            found.append(change)
    return found


def told(rollout: Rollout) -> Any:
    """Return what must not depend on the order of the changes."""
    return (
        rollout.verdict,
        sorted((each.name, each.phase, outcome(each)) for each in rollout.lanes),
        sorted(each.name for each in rollout.new),
        sorted(each.text for each in rollout.faults()),
        rollout.progress._replace(fewest_ready=0),
        rollout.scale,
        rollout.changes,
        rollout.notes,
    )


EXPECTED = [
    ("orders-hash1-old0", Phase.GONE, Outcome.HOOK_FAILED),
    ("orders-hash1-old1", Phase.GONE, Outcome.KILLED),
    ("orders-hash2-new0", Phase.READY, Outcome.NONE),
    ("orders-hash2-new1", Phase.READY, Outcome.CUT_OFF),
]


@settings(max_examples=200, **SLOW)
@given(changes=interleaved())
def test_the_order_across_kinds_does_not_count(changes: list[Change]) -> None:
    """Five watches are five connections."""
    found = told(play(started(), changes))

    assert found[:2] == (Verdict.DONE, EXPECTED)
    assert found == told(play(started(), [each for stream in STREAMS for each in stream]))


@settings(max_examples=100, **SLOW)
@given(changes=interleaved(twice=True))
def test_a_change_that_comes_twice_counts_once(changes: list[Change]) -> None:
    """As after a new list."""
    once: list[Change] = []
    for each in changes:
        if not once or once[-1] is not each:
            once.append(each)

    assert told(play(started(), changes)) == told(play(started(), once))


@settings(max_examples=200, **SLOW)
@given(changes=interleaved(), missed=st.sets(st.integers(0, 30)))
def test_what_was_missed_is_never_clean(changes: list[Change], missed: set[int]) -> None:
    """After a gap, the last object of a pod is not known: its exit is, only if it was seen."""
    last: dict[str, Object] = {}
    seen: set[str] = set()
    fold = started()
    for number, (kind, old, new) in enumerate(changes):
        if kind != POD:
            fold.take(kind, old, new, T0 + number)
        elif new is not None and number not in missed:
            last[new["metadata"]["name"]] = new
            if "terminated" in new["status"].get("containerStatuses", [{}])[0].get("state", {}):
                seen.add(new["metadata"]["name"])
            fold.take(kind, None, new, T0 + number)
        elif old is not None:
            name = old["metadata"]["name"]
            fold.take(kind, last.get(name, ready_pod(name[-4:])), None, T0 + number)
    rollout = fold.rollout(T0 + len(changes))

    assert {each.name for each in rollout.old if each.complete} == seen
    for each in rollout.old:
        assert (outcome(each) is Outcome.UNKNOWN) == (each.name not in seen and not each.hooks)


def test_a_rollout_is_done_when_the_last_old_pod_has_left() -> None:
    """The controller is done before."""
    fold = started(replicas=1)
    changes = [
        (REPLICA_SET, None, replica_set("2", replicas=1)),
        (REPLICA_SET, None, replica_set("1", replicas=0)),
        *life_of_a_new_pod("new0"),
        (DEPLOYMENT, None, done("2", replicas=1)),
    ]
    old = life_of_an_old_pod("old0")

    assert play(fold, changes).verdict is Verdict.ROLLING
    assert play(fold, old[:2]).verdict is Verdict.ROLLING
    rollout = play(fold, old[2:])
    assert (rollout.verdict, rollout.passed) == (Verdict.DONE, True)
    assert rollout.headline() == (
        "deploy/orders: rolled out to revision 2 in 1.0 s, and every pod left cleanly"
    )


def test_a_pod_that_is_overdue_since_before_is_not_waited_for() -> None:
    """Its node is away. It is shown, and does not count."""
    fold = Fold(NAMESPACE, NAME)
    fold.take(DEPLOYMENT, None, done("2"), T0, initial=True)
    fold.take(REPLICA_SET, None, replica_set("1", replicas=0), T0, initial=True)
    fold.take(REPLICA_SET, None, replica_set("2"), T0, initial=True)
    fold.take(POD, None, ready_pod("lost", deleted=T0 - 900), T0, initial=True)

    assert fold.rollout(T0).verdict is Verdict.NONE
    assert [each.name for each in fold.rollout(T0).lanes] == ["orders-hash1-lost"]


def test_the_controller_gives_up() -> None:
    """At its progress deadline."""
    late = deployment("2", replicas=2, progressing=("False", "ProgressDeadlineExceeded"))
    rollout = play(started(), [(DEPLOYMENT, None, late)])

    assert rollout.verdict is Verdict.FAILED
    assert rollout.reasons == ("the message of ProgressDeadlineExceeded",)


def test_a_deadline_of_the_rollout_before_does_not_count() -> None:
    """The condition stays until the controller has seen the change."""
    late = deployment(
        "2", replicas=2, observed=1, progressing=("False", "ProgressDeadlineExceeded")
    )

    assert play(started(), [(DEPLOYMENT, None, late)]).verdict is Verdict.ROLLING


def test_a_pod_that_does_not_start_is_said_early() -> None:
    """The rollout goes on, but it is stuck."""
    waiting = {"reason": "CrashLoopBackOff"}
    broken = pod("new0", scheduled=T0, waiting=waiting, last={"exitCode": 3})
    changes = [(REPLICA_SET, None, replica_set("2", replicas=1)), (POD, None, broken)]
    rollout = play(started(), changes)

    assert rollout.verdict is Verdict.STUCK
    assert rollout.reasons == (
        "orders-hash2-new0: CrashLoopBackOff of container app, which exited with 3",
    )


def test_a_new_rollout_during_this_one_is_noted() -> None:
    """Somebody applies again. The new template is the one to wait for."""
    third = deployment("3", replicas=2, generation=3, observed=2, revision=3)
    changes = [
        (REPLICA_SET, None, replica_set("2", replicas=1)),
        *life_of_a_new_pod("new0"),
        (DEPLOYMENT, None, third),
        (REPLICA_SET, None, replica_set("3", replicas=1)),
        (DEPLOYMENT, None, third),
    ]
    rollout = play(started(), changes)

    assert (rollout.changes, rollout.revision, rollout.new) == (1, 3, ())
    assert [each.text for each in rollout.notes] == [
        "Another person or tool changed the template, so a new rollout started"
    ]


def test_our_own_change_is_no_change_of_somebody_else() -> None:
    """Even if the watch is faster than the answer to the patch."""
    fold = started()
    paused = deployment("2", replicas=2, generation=3, paused=True)
    with fold.changing():
        fold.take(DEPLOYMENT, None, paused, T0 + 1)
        fold.changed(paused, T0 + 1)
    fold.take(DEPLOYMENT, None, deployment("2", replicas=2, generation=2), T0 + 2)  # an old one
    rollout = fold.rollout(T0 + 2)

    assert (rollout.paused, rollout.notes, rollout.verdict) == (True, (), Verdict.ROLLING)


def test_a_change_of_somebody_else_during_our_own_is_noted() -> None:
    """It has a later generation."""
    fold = started()
    with fold.changing():
        fold.take(DEPLOYMENT, None, deployment("3", replicas=2, generation=4), T0 + 1)
        fold.changed(deployment("2", replicas=2, generation=3, paused=True), T0 + 1)
    rollout = fold.rollout(T0 + 2)

    assert rollout.changes == 1
    assert not rollout.paused


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({"paused": True}, "Another person or tool paused the Deployment"),
        ({"replicas": 5}, "The replicas were changed from 2 to 5"),
    ],
)
def test_what_somebody_else_does_is_noted(changed: dict[str, Any], note: str) -> None:
    """A pause stops the rollout."""
    third = deployment("2", **({"replicas": 2, "generation": 3} | changed))
    rollout = play(started(), [(DEPLOYMENT, None, third)])

    assert [each.text for each in rollout.notes] == [note]
    assert (rollout.verdict is Verdict.STUCK) == ("paused" in changed)


def test_a_deleted_deployment_is_a_failure() -> None:
    """There is nothing to wait for."""
    rollout = play(started(), [(DEPLOYMENT, done("1"), None)])

    assert (rollout.verdict, rollout.reasons) == (Verdict.FAILED, ("the Deployment was deleted",))


def test_the_fewest_ready_pods_are_counted() -> None:
    """Also if there are more of them later."""
    changes = [
        (REPLICA_SET, None, replica_set("2", replicas=1)),
        *life_of_an_old_pod("old0"),
        *life_of_a_new_pod("new0"),
        *life_of_a_new_pod("new1"),
    ]
    progress = play(started(), changes).progress

    assert (progress.ready, progress.fewest_ready) == (3, 1)


def test_pods_of_another_workload_do_not_count() -> None:
    """Their labels may be the same."""
    stranger = ready_pod("stranger")
    stranger["metadata"]["ownerReferences"][0]["uid"] = "rs-of-somebody-else"

    names = {each.name for each in play(started(), [(POD, None, stranger)]).lanes}
    assert names == {"orders-hash1-old0", "orders-hash1-old1"}

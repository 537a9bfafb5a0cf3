"""The lane of a pod: its phases, and how it left."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from lifecycle_fleet.rollout import events, lane, outcome
from lifecycle_fleet.rollout.lane import Lane
from lifecycle_fleet.rollout.outcome import Outcome
from lifecycle_fleet.rollout.pods import Phase, phase, problem

from plugins.fleet.tests.rollout_objects import T0, Object, event, pod, ready_pod, stamp

DRAINING = json.dumps({"state": "draining", "since": T0 + 5.5})
READY = {"scheduled": T0, "running": T0 + 1, "ready": T0 + 2}


def left(*objects: Object, since: float = T0) -> Lane:
    """Return the lane of a pod that was seen once a second, and is gone after the last object."""
    found: Lane | None = None
    for number, each in enumerate(objects):
        found = lane.seen(found, each, since + number)
    return lane.gone(found, objects[-1], since + len(objects))


def drained(**last: object) -> Lane:
    """Return the lane of a pod that was ready, was deleted, and whose last object is given."""
    return left(
        pod(**READY), pod(**READY, deleted=T0 + 1), pod(scheduled=T0, deleted=T0 + 1, **last)
    )


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, Phase.CREATED),
        ({"scheduled": T0}, Phase.SCHEDULED),
        ({"scheduled": T0, "waiting": {"reason": "ContainerCreating"}}, Phase.SCHEDULED),
        ({"scheduled": T0, "running": T0}, Phase.STARTING),
        (READY, Phase.READY),
        (READY | {"deleted": T0}, Phase.DRAINING),
        (READY | {"told": DRAINING}, Phase.DRAINING),
        (READY | {"running": T0 + 9, "told": DRAINING}, Phase.READY),
        ({"scheduled": T0, "exit_code": 1, "phase": "Failed"}, Phase.GONE),
        ({"scheduled": T0, "exit_code": 0, "deleted": T0, "phase": "Succeeded"}, Phase.DRAINING),
    ],
    ids=repr,
)
def test_each_object_has_a_phase(given: dict[str, object], wanted: Phase) -> None:
    """The annotation of a former container does not count."""
    assert phase(pod(**given)) is wanted  # type: ignore[arg-type]


def test_a_lane_has_each_phase_with_its_time() -> None:
    """From the creation to the end."""
    found = left(
        pod(),
        pod(scheduled=T0),
        pod(scheduled=T0, running=T0),
        pod(**READY),
        pod(**READY, deleted=T0),
        pod(scheduled=T0, deleted=T0, exit_code=0),
    )

    assert [(each.phase, each.begin - T0) for each in found.spans] == [
        (Phase.CREATED, 0),
        (Phase.SCHEDULED, 1),
        (Phase.STARTING, 2),
        (Phase.READY, 3),
        (Phase.DRAINING, 4),
        (Phase.GONE, 6),
    ]
    assert (found.ready_after, found.drained_in, found.gap) == (3, 2, 0)
    assert outcome.outcome(found) is Outcome.CLEAN


def test_a_gap_in_readiness_counts() -> None:
    """A pod that is ready again was not ready in between."""
    found = left(
        pod(**READY), pod(scheduled=T0, running=T0), pod(**READY), pod(**READY, deleted=T0)
    )

    assert [each.phase for each in found.spans[:3]] == [Phase.READY, Phase.UNREADY, Phase.READY]
    assert found.gap == 1


def test_the_past_of_a_pod_is_in_its_timestamps() -> None:
    """A pod that was there when the watch began."""
    found = lane.seen(None, ready_pod("a", since=T0 - 60), T0, initial=True)

    assert [(each.phase, each.begin - T0) for each in found.spans] == [
        (Phase.CREATED, -65),
        (Phase.SCHEDULED, -65),
        (Phase.STARTING, -64),
        (Phase.READY, -60),
    ]


def test_the_past_is_never_in_the_future() -> None:
    """The clock of the API server may be ahead."""
    found = lane.seen(None, ready_pod("a", since=T0 + 100), T0, initial=True)

    assert max(each.begin for each in found.spans) == T0
    assert found.phase is Phase.READY


def test_a_pod_that_drained_before_the_watch_has_the_time_of_its_deletion() -> None:
    """The timestamp of the deletion includes the grace period."""
    found = lane.seen(None, ready_pod("a", deleted=T0 - 10), T0, initial=True)

    assert (found.phase, found.since, found.grace) == (Phase.DRAINING, T0 - 10, 30)
    assert not found.overdue


def test_a_pod_whose_grace_period_was_over_before_the_watch_is_overdue() -> None:
    """Its node may be away for ever."""
    assert lane.seen(None, ready_pod("a", deleted=T0 - 40), T0, initial=True).overdue


OUTCOMES = {
    "clean": (Outcome.CLEAN, {"exit_code": 0}),
    "ended by SIGTERM": (Outcome.CLEAN, {"exit_code": 143, "reason": "Error"}),
    "killed": (Outcome.KILLED, {"exit_code": 137, "reason": "Error"}),
    "killed by a signal": (Outcome.KILLED, {"exit_code": 0, "signal": 9}),
    "out of memory": (Outcome.KILLED, {"exit_code": 137, "reason": "OOMKilled"}),
    "cut off": (Outcome.CUT_OFF, {"exit_code": 124, "reason": "Error"}),
    "another code": (Outcome.FAILED, {"exit_code": 1, "reason": "Error"}),
    "still running": (Outcome.UNKNOWN, {"running": T0}),
    "not known to the kubelet": (
        Outcome.UNKNOWN,
        {"exit_code": 137, "reason": "ContainerStatusUnknown"},
    ),
}


@pytest.mark.parametrize(("wanted", "last"), OUTCOMES.values(), ids=OUTCOMES)
def test_how_a_pod_left_is_in_its_last_object(wanted: Outcome, last: dict[str, object]) -> None:
    """Nothing is clean that was not seen to be."""
    found = drained(**last)

    assert outcome.outcome(found) is wanted
    assert bool(outcome.faults(found)) == (wanted is not Outcome.CLEAN)


def test_a_pod_that_never_ran_leaves_cleanly() -> None:
    """There was nothing to lose."""
    assert outcome.outcome(left(pod(), pod(deleted=T0))) is Outcome.CLEAN
    waiting = {"reason": "ContainerCreating"}
    found = left(pod(scheduled=T0, waiting=waiting), pod(scheduled=T0, waiting=waiting, deleted=T0))
    assert outcome.outcome(found) is Outcome.CLEAN


def test_a_pod_that_is_gone_too_late_was_killed() -> None:
    """Even if the exit of its containers was not seen."""
    found = lane.seen(None, pod(**READY), T0)
    found = lane.seen(found, pod(**READY, deleted=T0, grace=30), T0)
    found = lane.gone(found, pod(**READY, deleted=T0, grace=0), T0 + 33)

    (fault,) = outcome.faults(found)
    assert fault.kind is Outcome.KILLED
    assert "only after 33.0 s" in fault.text


def test_the_grace_period_is_that_of_the_first_deletion() -> None:
    """The kubelet deletes the pod once more with a grace period of 0."""
    found = left(pod(**READY, deleted=T0), pod(scheduled=T0, deleted=T0, grace=0, exit_code=0))

    assert found.grace == 30


def test_an_end_from_before_the_watch_does_not_count() -> None:
    """A crash of last week is none of this rollout."""
    past = {"exitCode": 137, "reason": "Error", "finishedAt": stamp(T0 - 9000)}
    found = lane.seen(None, ready_pod("a", last=past, restarts=3), T0, initial=True)
    found = lane.seen(found, ready_pod("a", last=past, restarts=3, deleted=T0), T0 + 1)
    last = ready_pod("a", last=past, restarts=3, deleted=T0, exit_code=0, ready=None)
    found = lane.gone(found, last, T0 + 2)

    assert outcome.outcome(found) is Outcome.CLEAN
    assert found.restarts == 0


def test_a_crash_during_the_watch_is_no_fault_of_a_drain() -> None:
    """It is a restart. A kill counts, whenever it comes."""
    crash = {"exitCode": 1, "reason": "Error", "finishedAt": stamp(T0 + 3)}
    found = lane.seen(None, pod(**READY), T0)
    found = lane.seen(found, pod(scheduled=T0, last=crash, running=T0 + 4, restarts=1), T0 + 4)

    assert [each.code for each in outcome.crashes(found)] == [1]
    assert (found.restarts, outcome.outcome(found)) == (1, Outcome.NONE)

    killed = crash | {"exitCode": 137, "reason": "OOMKilled"}
    found = lane.seen(None, pod(**READY), T0)
    found = lane.seen(found, pod(scheduled=T0, last=killed, running=T0 + 4, restarts=1), T0 + 4)

    assert outcome.outcome(found) is Outcome.KILLED


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [
        ("FailedPreStopHook", Outcome.HOOK_FAILED),
        ("FailedPostStartHook", Outcome.HOOK_FAILED),
        ("CutOff", Outcome.CUT_OFF),
        ("Killing", Outcome.CLEAN),
        ("Unhealthy", Outcome.CLEAN),
    ],
)
def test_an_event_tells_what_the_exit_code_does_not(reason: str, wanted: Outcome) -> None:
    """A hook that fails, and work that is cut off although the app exits with 0."""
    found = drained(exit_code=0)
    told = events.read(event(pod(), reason, "GET /export"))

    if told is not None:
        found = events.told(found, told)
        assert asdict(events.told(found, told)) == asdict(found)
    assert outcome.outcome(found) is wanted


def test_an_old_event_about_an_old_pod_does_not_count() -> None:
    """A hook that failed at a restart yesterday. At the end of a drain that still runs, it counts."""
    old = lane.seen(None, ready_pod("a"), T0, initial=True)
    past = events.read(event(ready_pod("a"), "FailedPreStopHook", at=T0 - 90), initial=True)
    assert past is not None
    assert events.told(old, past).hooks == ()

    drains = lane.seen(None, ready_pod("a", deleted=T0 - 10), T0, initial=True)
    now = events.read(event(ready_pod("a"), "FailedPreStopHook", at=T0 - 5), initial=True)
    assert now is not None
    assert len(events.told(drains, now).hooks) == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"scheduled": T0, "waiting": {"reason": "ImagePullBackOff", "message": "no such"}},
            "ImagePullBackOff of container app: no such",
        ),
        (
            {
                "scheduled": T0,
                "waiting": {"reason": "CrashLoopBackOff"},
                "last": {"exitCode": 3, "finishedAt": stamp(T0)},
            },
            "CrashLoopBackOff of container app, which exited with 3",
        ),
        ({"scheduled": T0, "waiting": {"reason": "ContainerCreating"}}, ""),
        (READY, ""),
        ({"scheduled": T0, "exit_code": 0, "phase": "Succeeded", "deleted": T0}, ""),
        (
            {"scheduled": T0, "exit_code": 0, "phase": "Succeeded"},
            "Succeeded: the pod has ended",
        ),
    ],
)
def test_a_problem_is_named(given: dict[str, object], words: str) -> None:
    """What keeps a pod from starting."""
    assert problem(pod(**given)) == words  # type: ignore[arg-type]


def test_a_pod_that_no_node_takes_has_a_problem() -> None:
    """The scheduler says why."""
    found = pod()
    found["status"]["conditions"].append(
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/1 nodes\x1b[2J",
        }
    )

    assert problem(found) == "cannot be scheduled: 0/1 nodes�[2J"


def test_the_slices_show_a_pod_until_they_do_not() -> None:
    """How long clients still find a pod that drains."""
    found = lane.in_slices(lane.seen(None, pod(**READY), T0), "yes", T0)
    found = lane.seen(found, pod(**READY, deleted=T0), T0 + 1)
    found = lane.in_slices(found, "no", T0 + 1.5)

    assert found.hidden_after == 0.5


def test_a_sidecar_that_is_killed_is_named() -> None:
    """A native sidecar runs beside the app until its end."""
    found = pod(scheduled=T0, deleted=T0, exit_code=0)
    found["spec"]["initContainers"] = [{"name": "proxy", "restartPolicy": "Always"}]
    found["status"]["initContainerStatuses"] = [
        {
            "name": "proxy",
            "containerID": "c",
            "state": {"terminated": {"exitCode": 137, "reason": "Error", "finishedAt": stamp(T0)}},
        }
    ]

    (fault,) = outcome.faults(left(pod(**READY), pod(**READY, deleted=T0), found))
    assert "container proxy was killed" in fault.text

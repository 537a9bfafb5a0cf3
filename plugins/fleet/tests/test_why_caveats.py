"""What an answer may be missing, and what it says of that."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lifecycle_fleet.why.answers import Answers
from lifecycle_fleet.why.facts import Facts, Missing
from lifecycle_fleet.why.pod import explain

from plugins.fleet.tests.why_cases import LONG_AGO, UNREADY, broken, changed, unanswered
from plugins.fleet.tests.why_objects import (
    TOLD,
    answers,
    crashed,
    event,
    facts,
    pod,
    running,
    status,
    waiting,
)

CRASHED = broken(pod(crashed(1), ready=False), answers=unanswered())


OLD = changed(dict(CRASHED.pod), lambda each: each["metadata"].update(creationTimestamp=LONG_AGO))


MANY = event("BackOff", "x", count=30)


CAVEATS: dict[str, tuple[Facts, tuple[str, ...]]] = {
    "an app that does not answer": (
        replace(CRASHED, answers=Answers(problem="timed out")),
        ("The app in the pod did not answer. timed out",),
    ),
    "an app without the program": (
        replace(CRASHED, answers=Answers(problem="not found", no_program=True)),
        (),
    ),
    "an app that does not answer, in a ready pod": (facts(answers=Answers(problem="x")), ()),
    "an old pod": (replace(CRASHED, pod=OLD), ("The API server keeps events for an hour",)),
    "an old pod without the right to read events": (
        replace(CRASHED, pod=OLD, missing=(Missing("events", "forbidden", "x"),)),
        ("You may not read events",),
    ),
    "an old pod that is ready": (facts(pod(age=9000)), ()),
    "an old pod that is ready, and not found": (
        facts(pod(age=9000), missing=(Missing("nodes", "not found"),)),
        (),
    ),
    "many events of the kubelet, and no cause": (
        broken(pod(UNREADY, ready=False), MANY),
        ("The pod has had 30 events. Of a pod",),
    ),
    "many events of the kubelet, and an end by a signal": (
        broken(pod(crashed(143), ready=False), MANY, answers=unanswered()),
        ("The pod has had 30 events. Of a pod",),
    ),
    "many events of the kubelet, before a container has run": (
        broken(
            changed(
                pod(phase="Pending", ready=False),
                lambda each: each["status"].update(containerStatuses=[waiting("x")]),
            ),
            MANY,
            answers=unanswered(),
        ),
        ("The pod has had 30 events, and none of its containers has run.",),
    ),
    "many events of the kubelet, and a cause": (
        broken(pod(crashed(1), ready=False), MANY, answers=unanswered()),
        (),
    ),
    "many events of the kubelet, and an image that is not there": (
        broken(
            pod(waiting("ImagePullBackOff", "not found"), ready=False), MANY, answers=unanswered()
        ),
        (),
    ),
    "many events of the kubelet, of a pod that answers that it is starting": (
        broken(
            pod(running(ready=False, started=False, ago=20), ready=False, gate=None),
            MANY,
            answers=answers(status("starting")),
        ),
        (),
    ),
    "many events of the kubelet, of a pod that is ready": (
        facts(pod(told=TOLD), MANY, slices=()),
        (),
    ),
    "many events of another program": (
        broken(
            pod(UNREADY, ready=False),
            MANY | {"source": {"component": "scheduler"}},
        ),
        (),
    ),
    "something that could not be read": (
        facts(missing=(Missing("nodes", "slow"),)),
        ("The command could not read nodes (slow)",),
    ),
}


@pytest.mark.parametrize(("found", "said"), CAVEATS.values(), ids=CAVEATS)
def test_what_may_be_missing_is_said(found: Facts, said: tuple[str, ...]) -> None:
    """Only if it could be missing, and if something is wrong."""
    caveats = explain(found).caveats

    assert len(caveats) == len(said)
    for caveat, wanted in zip(caveats, said, strict=True):
        assert caveat.sentence.startswith(wanted)

"""One fault has one first cause, whenever it is asked about."""

from __future__ import annotations

from typing import Any

import pytest
from lifecycle_fleet.why.facts import Facts
from lifecycle_fleet.why.pod import explain

from plugins.fleet.tests.why_cases import broken, container, unanswered
from plugins.fleet.tests.why_objects import (
    NOW,
    TOLD,
    Object,
    answers,
    app_container,
    crashed,
    event,
    facts,
    pod,
    running,
    status,
    terminated,
    unhealthy,
)

BUDGET, DRAIN = 12, 28
"""Seconds until the kubelet ends a run, and seconds of its drain. The app needs 70 s to start."""


def slow(found: Object, *, state: str = "", start: float | None = None) -> Object:
    """A pod whose app needs longer to start than its startup probe allows."""
    told = TOLD | {"state": state, "since": NOW, "start": start} if state else None
    given = pod(found, ready=False, gate=None, told=told, age=600)
    probe = app_container()["startupProbe"] | {"failureThreshold": BUDGET}
    return container(given, startupProbe=probe)


def run(ago: float, **more: Any) -> Object:
    """The container, which was started so many seconds ago, and is not ready."""
    return running(ready=False, started=False, ago=ago) | more


def after(ago: float, restarts: int) -> Object:
    """The end of the run before, which was cut off at the end of its drain."""
    return {"lastState": terminated(124, ago=ago, ran=BUDGET + DRAIN), "restartCount": restarts}


def killed(ago: float, times: int) -> Object:
    """The event of the kubelet. The second one has the time of the second end only."""
    message = "Container orders failed startup probe, will be restarted"
    return event("Killing", message, ago=ago, count=times, type="Normal")


def refused(ago: float) -> Object:
    return unhealthy("Startup", "HTTP probe failed with statuscode: 503", ago=ago)


DRAINED = event("Draining", "The drain has started (preStop).", ago=28, type="Normal")
CUT_OFF = event("CutOff", "Cut off: uvicorn (pid 13, sent SIGTERM)", ago=2)
STEPS = {"steps": [{"name": "program", "seconds": 10.0, "running": True}]}

STORY: dict[str, Facts] = {
    "killed, and draining": broken(
        slow(run(25), state="draining"),
        killed(13, 1),
        refused(13),
        DRAINED,
        answers=answers(status("draining", drain={"waiting_for": []})),
    ),
    "killed, and draining, without an answer": broken(
        slow(run(25), state="draining"), killed(13, 1), refused(13), answers=unanswered()
    ),
    "restarted a moment ago": broken(
        slow(run(2, **after(2, 1)), state="draining", start=14.0),
        killed(30, 1),
        refused(30),
        DRAINED,
        CUT_OFF,
        answers=unanswered(),
    ),
    "starting again": broken(
        slow(run(10, **after(10, 1)), state="starting"),
        killed(38, 1),
        refused(1),
        CUT_OFF,
        answers=answers(status("starting", start=STEPS)),
    ),
    "killed again, which moves the time of the event": broken(
        slow(run(15, **after(15, 1)), state="draining", start=14.0),
        killed(3, 2),
        refused(3),
        DRAINED,
        CUT_OFF,
        answers=answers(status("draining", drain={"waiting_for": []})),
    ),
    "killed again, with an event for each time": broken(
        slow(run(15, **after(15, 1)), state="draining"),
        killed(43, 1),
        killed(3, 1) | {"metadata": {"name": "another"}},
        refused(3),
        CUT_OFF,
        answers=unanswered(),
    ),
    "in back-off": broken(
        slow(crashed(124) | after(4, 2), state="draining", start=14.0),
        killed(32, 2),
        refused(32),
        CUT_OFF,
        answers=unanswered(),
    ),
    "starting for the fourth time": broken(
        slow(run(1, **after(60, 3)), state="starting"),
        killed(88, 3),
        refused(88),
        CUT_OFF,
        answers=unanswered(),
    ),
}
"""A startup probe that is too short, from its first failure on."""


@pytest.mark.parametrize("found", STORY.values(), ids=STORY)
def test_a_startup_probe_that_is_too_short_is_always_the_cause(found: Facts) -> None:
    """The exit code, the drain and the start are its consequences, and are not mentioned."""
    verdict = explain(found)

    assert [each.rule for each in verdict.findings] == ["startup-budget"]
    assert any("failed startup probe" in each for each in verdict.findings[0].evidence)
    assert verdict.wrong


def test_a_run_that_has_crashed_is_still_mentioned() -> None:
    """The startup probe that ends this run has not ended the run before."""
    before = {"lastState": terminated(1, ago=15, ran=4), "restartCount": 1}
    found = broken(slow(run(15, **before)), killed(2, 1), refused(2), answers=unanswered())

    assert [each.rule for each in explain(found).findings] == ["startup-budget", "crash"]


@pytest.mark.parametrize("found", STORY.values(), ids=STORY)
def test_no_start_was_finished_so_none_is_called_finished(found: Facts) -> None:
    """The app reports the seconds until its drain, and the fix says that it is a guess."""
    (finding,) = explain(found).findings

    assert "a start of the app has taken 14 s" not in finding.sentence
    assert "set startupProbe.failureThreshold: 120 in the manifest" in finding.fix
    assert "The number is a guess." in finding.fix
    if found.told and found.told.start:
        assert (
            "A start of the app has taken at least 14 s, and was not finished" in finding.sentence
        )


@pytest.mark.parametrize(
    ("found", "seconds"),
    [
        (pod(told=TOLD), 3.2),
        (pod(told=TOLD | {"state": "draining"}), 3.2),
        (pod(run(5), told=TOLD), 3.2),
        (pod(run(5), told=TOLD | {"state": "draining"}), None),
        (pod(run(5), told=TOLD | {"state": "failed"}), None),
        (pod(), None),
    ],
)
def test_only_a_start_that_was_finished_counts_for_other_pods(
    found: Object, seconds: float | None
) -> None:
    """A container whose startup probe has passed has finished its start."""
    assert facts(found).full_start == seconds

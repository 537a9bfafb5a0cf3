"""The end of a container is wrong until the container is ready again, and then only a note."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lifecycle_fleet.why.deployment import explain as explain_rollout
from lifecycle_fleet.why.facts import Facts
from lifecycle_fleet.why.pod import explain

from plugins.fleet.tests.why_deployments import ROLLOUTS
from plugins.fleet.tests.why_objects import (
    NOW,
    TOLD,
    Object,
    event,
    facts,
    pod,
    running,
    terminated,
)

LIVENESS = ("Killing", "Container orders failed liveness probe, will be restarted")
ENDS: dict[str, tuple[Object, tuple[str, str] | None]] = {
    "out-of-memory": (terminated(137, "OOMKilled", ran=3000), None),
    "liveness-restart": (terminated(137, ran=3000), LIVENESS),
    "poststart": (terminated(137, ran=3000), ("FailedPostStartHook", "exited with 1")),
    "crash": (terminated(1, ran=3000), None),
}
"""For each rule, how a container has ended, and the event about it."""


def ended(rule: str, ago: float, *, ready: bool = True, named: str = "") -> Facts:
    """A pod whose container has ended for the reason of a rule, and was started again."""
    last, told = ENDS[rule]
    times = terminated(0, ago=ago + 1, ran=3000)["terminated"]
    kept = {key: times[key] for key in ("startedAt", "finishedAt")}
    again = running(ready=ready, ago=ago) | {
        "restartCount": 1,
        "lastState": {"terminated": last["terminated"] | kept},
    }
    found = pod(again, ready=ready, gate=None, told=TOLD | {"since": NOW - ago + 1})
    if named:
        found["metadata"] |= {"name": named, "uid": named}
    about = [event(*told, ago=ago + 4, count=1, type="Normal")] if told else []
    return facts(found, *about)


@pytest.mark.parametrize("rule", ENDS)
@pytest.mark.parametrize("ago", [5, 25, 60])
def test_the_end_of_a_container_that_has_just_started_again_is_wrong(rule: str, ago: float) -> None:
    """The container may end again, so it is too early to say that all is well."""
    verdict = explain(ended(rule, ago))

    assert [(each.rule, each.note) for each in verdict.findings] == [(rule, False)]
    assert verdict.wrong


@pytest.mark.parametrize("rule", ENDS)
@pytest.mark.parametrize("ago", [61, 90, 300, 590])
def test_the_end_of_a_container_that_is_ready_again_is_a_note(rule: str, ago: float) -> None:
    """The pod is ready, so nothing keeps it from being ready."""
    verdict = explain(ended(rule, ago))

    assert [(each.rule, each.note) for each in verdict.findings] == [(rule, True)]
    assert "container orders is ready again" in verdict.findings[0].evidence[-1]
    assert not verdict.wrong


@pytest.mark.parametrize("rule", ENDS)
def test_the_end_of_a_container_that_is_not_ready_again_stays_wrong(rule: str) -> None:
    """It runs for minutes, but nobody has seen it ready."""
    verdict = explain(ended(rule, 300, ready=False))

    assert rule in [each.rule for each in verdict.findings if not each.note]


@pytest.mark.parametrize("rule", ENDS)
def test_a_past_end_does_not_hide_the_same_end_of_another_pod(rule: str) -> None:
    """Pods of a Deployment share a finding, but not if it is past in one of them only."""
    pods = ended(rule, 300, named="a"), ended(rule, 10, named="b")
    verdict = explain_rollout(replace(ROLLOUTS["rolled out"].workload, pods=pods))

    found = [(each.note, each.pods) for each in verdict.findings if each.rule == rule]
    assert found == [(False, ("b",)), (True, ("a",))]
    assert verdict.wrong

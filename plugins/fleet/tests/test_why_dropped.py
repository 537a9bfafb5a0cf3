"""
The kubelet drops its event about the end of a container, because its probe has had too many events.

With a period of 1 s, as `lifecycle manifests` writes it, this is so for each budget above 25 s.
"""

from __future__ import annotations

import pytest
from lifecycle_fleet.why.facts import Facts
from lifecycle_fleet.why.pod import explain

from plugins.fleet.tests.why_cases import broken, container, unanswered
from plugins.fleet.tests.why_objects import (
    NOW,
    TOLD,
    Object,
    answers,
    pod,
    probe,
    refused,
    running,
    status,
    terminated,
    unhealthy,
)

BUDGET, DRAIN, KEPT = 30, 28, 24
"""Seconds until the kubelet ends a run, seconds of its drain, and events that are kept."""
RUN = BUDGET + DRAIN
MOMENTS = (33, 45, 57, 59, 65, 80, 89, 100, 117, 130, 150, 300, 390)
"""Seconds after the first start. The first run is being ended, or has been ended."""
UNAVAILABLE = "HTTP probe failed with statuscode: 503"


def story(
    moment: int,
    code: int,
    *,
    answering: bool = True,
    telling: bool = True,
    port: int = 22222,
    said: str = UNAVAILABLE,
    failed: int = KEPT,
    ago: int | None = None,
) -> Facts:
    """A pod, so many seconds after the first start, whose startup probe never passes."""
    restarts, age = divmod(moment, RUN)
    now: Object = running(ready=False, started=False, ago=age)
    if restarts:
        last = terminated(code, ago=age, ran=RUN)
        now |= {"restartCount": restarts, "lastState": last}
    state = "draining" if age >= BUDGET else "starting"
    told = TOLD | {"state": state, "since": NOW - 1, "start": None} if telling else None
    settings = {"periodSeconds": 1, "failureThreshold": BUDGET}
    found = container(
        pod(now, ready=False, gate=None, told=told, age=moment + 5),
        startupProbe=probe("/startup", port, **settings),
    )
    seen = unhealthy("Startup", said, ago=moment - KEPT if ago is None else ago, count=failed)
    answer = answers(status(state)) if answering else unanswered()
    return broken(found, *([seen] if failed else []), answers=answer)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("code", [0, 124, 137, 143])
@pytest.mark.parametrize("answering", [True, False])
def test_a_startup_probe_that_is_too_short_is_the_cause_without_its_event(
    moment: int, code: int, *, answering: bool
) -> None:
    """The exit code and the drain are its consequences."""
    verdict = explain(story(moment, code, answering=answering))

    assert [each.rule for each in verdict.findings] == ["startup-budget"]
    assert "The number is a guess." in verdict.findings[0].fix


@pytest.mark.parametrize("moment", [35, 57])
def test_a_run_that_has_used_up_its_time_is_being_ended(moment: int) -> None:
    """Nobody tells that the app drains, but a run cannot be older without a startup probe passed."""
    (finding,) = explain(story(moment, 0, answering=False, telling=False)).findings

    assert finding.sentence.startswith(
        f"Container orders has been running for {moment} s, and its startup probe, which allows 30 s, "
        "has not passed."
    )


def test_a_run_that_may_still_pass_its_startup_probe_is_not_being_ended() -> None:
    """The first probe may be a period late."""
    found = story(33, 0, answering=False, telling=False)

    assert "startup-budget" not in [each.rule for each in explain(found).findings]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("code", [0, 124, 137])
def test_a_startup_probe_at_the_wrong_port_stays_the_cause(moment: int, code: int) -> None:
    """More time does not help."""
    found = story(moment, code, port=8081, said=refused(8081, "/startup"))

    assert [each.rule for each in explain(found).findings] == ["probe-port"]


@pytest.mark.parametrize(("code", "sentence"), [(0, "exits with 0"), (124, "exited with 124")])
def test_an_exit_code_without_a_failed_startup_probe_is_told_as_it_is(
    code: int, sentence: str
) -> None:
    """A command may end by itself after the same time."""
    (finding,) = explain(story(65, code, failed=0)).findings

    assert finding.rule == "crash"
    assert sentence in finding.sentence


@pytest.mark.parametrize(("ago", "rule"), [(40, "startup-budget"), (70, "crash")])
def test_one_failed_startup_probe_counts_for_the_run_in_which_it_failed(
    ago: int, rule: str
) -> None:
    """The last run began 63 s ago. Without many events, none is missing."""
    found = story(RUN + 5, 0, failed=1, ago=ago)

    assert [each.rule for each in explain(found).findings] == [rule]


def test_an_answer_may_take_longer_than_the_period() -> None:
    """A probe that waits 5 s for each answer needs longer than its threshold of periods."""
    slow = {"periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 30}
    late = pod(running(ready=False, started=False, ago=100), ready=False, gate=None)
    found = container(late, startupProbe=probe("/startup", 22222, **slow))

    assert "startup-budget" not in [each.rule for each in explain(broken(found)).findings]


def test_a_pod_that_is_deleted_drains_for_another_reason() -> None:
    """Its startup probe has not passed either, and does not matter any more."""
    found = story(45, 0)
    found.pod["metadata"]["deletionTimestamp"] = "2026-11-30T00:00:00Z"

    assert "startup-budget" not in [each.rule for each in explain(found).findings]

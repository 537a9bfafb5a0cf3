"""Reports while the API server is away, slow, deaf or unwilling: nothing ever waits for them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import lifecycle_kubernetes.api
import pytest

import lifecycle
from plugins.kubernetes.tests.api_server import REPORT
from plugins.kubernetes.tests.conftest import Play, become_ready

# httpcore leaves a socket open when it is cancelled in a TLS handshake.
pytestmark = pytest.mark.filterwarnings("ignore:.*:pytest.PytestUnraisableExceptionWarning")

GRACE = 6.0
IN_TIME = {"grace_period": GRACE, "register_timeout": 0.5}
BAD_DAYS = ["away", "deaf", "slow", "500", "403", "409", "422", "429"]


async def spoil(pod: Any, how: str, *, reports_only: bool) -> None:
    """Begin a bad day: for every write, or for reports and Events alone."""
    if how.isdigit():
        for method in (REPORT, "POST") if reports_only else (REPORT, "POST", "PATCH", "GET"):
            pod.api.answers[method] = [int(how)] * 10_000
    elif how == "away":
        await pod.api.kill()
    elif how == "slow" and not reports_only:
        pod.api.slow = 2.0
    else:
        pod.api.hold_reports = asyncio.Event()
        pod.api.hold = pod.api.hold if reports_only else asyncio.Event()


@pytest.mark.parametrize("how", [each for each in BAD_DAYS if each not in ("away", "slow")])
def test_nothing_waits_for_a_report(play: Play, how: str) -> None:
    """Each state is reached, and each registration made, with no report ever answered."""

    async def scenario(pod: Any) -> None:
        now = asyncio.get_running_loop().time
        await spoil(pod, how, reports_only=True)
        async with pod.ready(**IN_TIME) as life:
            assert pod.api.condition() == "True"
            life.offline("orders")
            await pod.until(lambda: pod.api.condition() == "False", "it is out")
            life.online("orders")
            await pod.until(lambda: pod.api.condition() == "True", "it is in")
            began = now()
        assert now() - began < GRACE - 0.5
        (report,) = pod.said("drain report")
        assert "unregistered" not in report
        assert (pod.api.condition(), pod.api.annotation()) == ("False", None)
        assert pod.api.statuses[-1]["state"] == "draining", "the patch of the registry has it"
        assert pod.api.events == []

    play(scenario)


@pytest.mark.parametrize("how", BAD_DAYS)
@pytest.mark.parametrize("step", ["starting", "ready", "draining", "drained"])
def test_a_drain_is_in_time_on_a_bad_day(play: Play, how: str, step: str) -> None:
    """Whatever the API server does from whichever step on: the app ends within its grace period."""

    async def scenario(pod: Any) -> None:
        now = asyncio.get_running_loop().time
        async with pod.run(**IN_TIME) as life:
            await pod.until_state("starting")
            if step == "starting":
                await spoil(pod, how, reports_only=False)
                life.export("orders", port=8080)
            else:
                await become_ready(life)
            if step == "ready":
                await spoil(pod, how, reports_only=False)
            began = now()
            life.begin_drain("test")
            if step == "draining":
                await spoil(pod, how, reports_only=False)
            await life.drained()
            if step == "drained":
                await spoil(pod, how, reports_only=False)
        assert now() - began < GRACE - 0.5
        assert pod.said("drain report")[0]["steps"]
        assert life.state is lifecycle.State.STOPPED
        await pod.api.start() if how == "away" else None

    play(scenario)


def test_after_an_outage_the_newest_state_is_told_and_each_event(play: Play) -> None:
    """One report for all that was missed, and the Events with the times at which they happened."""

    async def scenario(pod: Any) -> None:
        async with pod.run() as life:
            await pod.until_state("starting")
            await pod.api.kill()
            await life.ready()
            before = pod.api.count(REPORT)
            await asyncio.sleep(1.5)
            await pod.api.start()
            told = await pod.until_state("ready")
            assert told["since"] < life.snapshot()["now"] - 1
            await pod.until_event("Ready")
            assert [each["state"] for each in pod.api.statuses] == ["starting", "ready"]
            assert pod.api.count(REPORT) == before + 1

    play(scenario)


def test_an_event_that_arrives_twice_exists_once(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that was given up, and arrived: the next try finds its name taken, and is content."""
    monkeypatch.setattr(lifecycle_kubernetes.api, "TIMEOUT", httpx2.Timeout(0.5, connect=3.0))

    async def scenario(pod: Any) -> None:
        async with pod.run() as life:
            await pod.until_state("starting")
            late = pod.api.hold_reports = asyncio.Event()
            await life.ready()
            await pod.until(lambda: pod.api.count("POST") >= 2, "it is tried again")
            late.set()
            pod.api.hold_reports = None
            await pod.until_event("Ready")
            await pod.until_state("ready")
        assert pod.api.reasons() == ["Ready", "Draining", "Drained"]

    play(scenario)


def test_a_report_that_arrives_late_does_not_stay(play: Play) -> None:
    """READY is under way when the drain begins, and arrives after it: DRAINING is told again."""

    async def scenario(pod: Any) -> None:
        async with pod.run(settle=4) as life:
            await pod.until_state("starting")
            late = pod.api.hold_reports = asyncio.Event()
            await become_ready(life)
            await pod.until(lambda: pod.api.count(REPORT) == 2, "READY is under way")
            life.begin_drain("test")
            await pod.until(lambda: pod.api.condition() == "False", "it is out")
            assert pod.api.status()["state"] == "draining"
            late.set()
            pod.api.hold_reports = None
            await pod.until(lambda: len(pod.api.statuses) == 4, "it is told again")
            states = [each["state"] for each in pod.api.statuses]
            assert states == ["starting", "draining", "ready", "draining"]

    play(scenario)


def test_without_the_right_to_create_events_it_is_said_once(play: Play) -> None:
    """A Role of an older manifest: the missing rule in the log, no further Event, all else as ever."""

    async def scenario(pod: Any) -> None:
        pod.api.answers["POST"] = [403] * 100
        async with pod.ready() as life:
            await pod.until(lambda: pod.api.count("POST"), "an Event is tried")
            await pod.until_state("ready")
            life.offline()
            await pod.until(lambda: pod.api.condition() == "False", "it is out")
        assert pod.api.count("POST") == 1
        (said,) = (each for each in pod.said("kubernetes") if "events" in each)
        assert said["events"] == "off"
        assert said["rule"] == 'apiGroups: [""], resources: ["events"], verbs: ["create"]'
        assert pod.api.status()["state"] == "stopped"

    play(scenario)


def test_without_the_right_to_patch_it_is_not_tried_again_and_again(play: Play) -> None:
    """One try for each state: a pod without the Role is no burden for the API server."""

    async def scenario(pod: Any) -> None:
        pod.api.answers[REPORT] = [403] * 100
        async with pod.run() as life:
            await pod.until(lambda: pod.api.count(REPORT), "a report is tried")
            await asyncio.sleep(2.5)
            assert pod.api.count(REPORT) == 1
            await life.ready()
            await pod.until(lambda: pod.api.count(REPORT) == 2, "the next state is tried")
        assert pod.api.count(REPORT) <= 4
        assert pod.api.reasons()[0] == "Ready", "Events need another right"
        (said,) = (each for each in pod.said("kubernetes") if "status" in each)
        assert said["status"] == "not written"
        assert said["rule"] == 'apiGroups: [""], resources: ["pods/status"], verbs: ["patch"]'

    play(scenario)


@pytest.mark.parametrize("code", [400, 403, 404, 413, 422])
def test_what_is_refused_is_not_sent_again(play: Play, code: int) -> None:
    """Neither the annotation nor an Event, whatever the API server does not like of them."""

    async def scenario(pod: Any) -> None:
        pod.api.answers[REPORT] = [code] * 100
        pod.api.answers["POST"] = [code] * 100
        async with pod.run() as life:
            await life.ready()
            await pod.until(lambda: pod.api.count("POST"), "an Event is tried")
            await pod.until(lambda: pod.api.count(REPORT), "a report is tried")
            await asyncio.sleep(2.5)
            assert pod.api.count("POST") == 1
            assert pod.api.count(REPORT) <= 2

    play(scenario)


def test_a_report_that_is_refused_takes_no_registration_with_it(play: Play) -> None:
    """A policy that refuses the annotation: the pod registers and deregisters without it."""

    async def scenario(pod: Any) -> None:
        pod.api.no_status = True
        async with pod.ready() as life:
            assert pod.api.condition() == "True"
            life.offline()
            await pod.until(lambda: pod.api.condition() == "False", "it is out")
            life.online()
            await pod.until(lambda: pod.api.condition() == "True", "it is in")
        assert pod.api.condition() == "False"
        assert pod.api.status() is None
        assert pod.life.state is lifecycle.State.STOPPED

    play(scenario)

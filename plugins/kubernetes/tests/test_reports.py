"""What a pod reports in its life: the annotation in every state, the Events, and no more requests."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from lifecycle_kubernetes.plugin import Kubernetes

import lifecycle
from plugins.kubernetes.tests.api_server import REPORT
from plugins.kubernetes.tests.conftest import Play, become_ready

# httpcore leaves a socket open when it is cancelled in a TLS handshake.
pytestmark = pytest.mark.filterwarnings("ignore:.*:pytest.PytestUnraisableExceptionWarning")

OVER_A_SECOND = 1.1
"""After so many seconds a report may be sent at once."""
ONE_LIFE = {"PATCH": 2, REPORT: 3, "POST": 4}
"""What a pod with one service writes from its start to its end. The README has these numbers."""


def test_a_whole_life_has_the_newest_state_each_time_and_costs_nine_requests(play: Play) -> None:
    """Two patches of the registry, which a pod sends anyway, three reports, and four Events."""

    async def scenario(pod: Any) -> None:
        async with pod.run() as life:
            await pod.until_state("starting")
            await become_ready(life)
            told = await pod.until_state("ready")
            assert told["since"] == pytest.approx(life.snapshot()["since"], abs=0.001)
            assert (told["cause"], told["online"], told["offline"]) == ("ready", ["orders"], [])
            assert (told["settle"], told["grace"]) == (0.1, 30)
            assert told["start"] == life.snapshot()["start"]["seconds"]
            assert str(told["qos_port"]) in life.qos_url
            life.begin_drain("SIGTERM")
            await life.drained()
        assert [each["state"] for each in pod.api.statuses] == [
            "starting",
            "ready",
            "draining",
            "stopped",
        ]
        assert [each["cause"] for each in pod.api.statuses[2:]] == ["SIGTERM", "exit code 0"]
        assert pod.api.reasons() == ["Registered", "Ready", "Draining", "Drained"]
        assert pod.message("Registered") == "Registered: orders."
        assert pod.message("Draining") == "The drain has started (SIGTERM)."
        assert {method: pod.api.count(method) for method in ONE_LIFE} == ONE_LIFE

    play(scenario)


def test_the_start_of_a_drain_is_in_the_patch_that_deregisters(play: Play) -> None:
    """Condition, Dubbo's annotation and the state change in one request, with none beside it."""

    async def scenario(pod: Any) -> None:
        async with pod.ready(settle=0.5) as life:
            await pod.until_state("ready")
            await asyncio.sleep(OVER_A_SECOND)
            pod.api.latency = 0.2
            reports = pod.api.count(REPORT)
            life.begin_drain("test")
            await pod.until(lambda: pod.api.condition() == "False", "it is out")
            assert pod.api.annotation() is None
            assert pod.api.status()["state"] == "draining"
            await pod.until_event("Draining")
            assert pod.api.count(REPORT) == reports

    play(scenario)


def test_a_registration_of_less_than_a_second_is_no_report(play: Play) -> None:
    """After `starting` comes `ready`, at once; what lies between would be old on its arrival."""

    async def scenario(pod: Any) -> None:
        async with pod.run() as life:
            await pod.until_state("starting")
            await asyncio.sleep(OVER_A_SECOND)
            pod.api.latency = 0.2
            await become_ready(life)
            await pod.until_state("ready")
            assert [each["state"] for each in pod.api.statuses] == ["starting", "ready"]
            assert pod.api.count(REPORT) == 2

    play(scenario)


def test_states_of_less_than_a_second_are_no_requests(play: Play) -> None:
    """An app that is drained right after its start tells its newest state, once a second at most."""

    async def scenario(pod: Any) -> None:
        async with pod.run() as life:
            await pod.until_state("starting")
            await become_ready(life)
        assert [each["state"] for each in pod.api.statuses] == ["starting", "draining", "stopped"]

    play(scenario)


def test_there_is_a_second_between_two_reports(play: Play) -> None:
    """Without services, and so without a patch of the registry, each state is a report."""

    async def scenario(pod: Any) -> None:
        async with pod.run() as life:
            await pod.until_state("starting")
            await life.ready()
            await pod.until_state("ready")
        first, second, *_ = pod.api.reported_at
        assert second - first > 0.9

    play(scenario)


def test_a_registration_that_takes_longer_is_told(play: Play) -> None:
    """An app that cannot register is `exporting`, and says so after a second."""

    async def scenario(pod: Any) -> None:
        async with pod.run() as life:
            await pod.until_state("starting")
            pod.api.answers["PATCH"] = [500] * 1000
            life.export("orders", port=8080)
            ready = asyncio.ensure_future(life.ready())
            told = await pod.until_state("exporting")
            assert (told["start"], told["online"]) == (None, ["orders"])
            pod.api.answers.clear()
            await ready
            assert (await pod.until_state("ready"))["start"] > 0

    play(scenario)


def test_offline_and_online_ride_and_are_events(play: Play) -> None:
    """Two services that go offline together are one event, with who did it and why."""

    async def scenario(pod: Any) -> None:
        async with pod.ready("orders", "stock", "admin") as life:
            await pod.until_state("ready")
            reports = pod.api.count(REPORT)
            life.offline("[os]*", "new disk")
            assert await pod.until_event("Offline") == (
                "Offline: orders, stock (administrator: new disk)."
            )
            told = pod.api.status()
            assert (told["online"], told["offline"]) == (["admin"], ["orders", "stock"])
            life.online("orders")
            assert await pod.until_event("Online") == "Online again: orders."
            assert pod.api.status()["offline"] == ["stock"]
            assert pod.api.count(REPORT) == reports
        assert pod.api.reasons().count("Offline") == 1, "a drain is no offline"

    play(scenario)


def test_an_app_without_services_reports_as_well(play: Play) -> None:
    """A worker has nothing to register: no condition, no gate, but each of its states."""

    async def scenario(pod: Any) -> None:
        async with pod.run() as life:
            await life.ready()
            await pod.until_state("ready")
        assert pod.api.status()["state"] == "stopped"
        assert pod.api.reasons() == ["Ready", "Draining", "Drained"]
        assert (pod.api.condition(), pod.api.count("PATCH")) == ("", 0)

    play(scenario)


def test_an_app_whose_registration_is_refused_reports_its_end(play: Play) -> None:
    """A patch that is refused for good takes no report with it."""

    async def scenario(pod: Any) -> None:
        pod.api.refuses = "8080"
        with pytest.raises(lifecycle.RegistrationRefused):
            async with pod.ready():
                pass
        told = pod.api.status()
        assert (told["state"], told["cause"]) == ("failed", "exit code 1")
        assert pod.api.reasons() == ["Draining", "Drained"]

    play(scenario)


@pytest.mark.parametrize("left", ["a registration", "nothing else"])
def test_the_next_container_of_a_pod_replaces_what_the_last_one_told(play: Play, left: str) -> None:
    """With the request that clears its registration, if there is one to clear."""

    async def scenario(pod: Any) -> None:
        metadata = pod.api.pod["metadata"]
        metadata["annotations"] = {"pod-lifecycle.dev/status": json.dumps({"state": "failed"})}
        registered = left == "a registration"
        if registered:
            metadata["annotations"]["io.dubbo/metadata"] = "{}"
        async with pod.run():
            await pod.until_state("starting")
            assert (pod.api.count("PATCH"), pod.api.count(REPORT)) == (
                (1, 0) if registered else (0, 1)
            )

    play(scenario)


def test_the_grace_period_of_the_pod_is_told_at_once(play: Play) -> None:
    """It is read from the pod before the first report."""

    async def scenario(pod: Any) -> None:
        pod.api.pod["spec"]["terminationGracePeriodSeconds"] = 45
        async with pod.run():
            assert (await pod.until_state("starting"))["grace"] == 45

    play(scenario)


def test_work_that_is_cut_off_is_a_warning_with_its_name(play: Play) -> None:
    """The last report of a pod that failed, within the time in which registries are closed."""

    async def scenario(pod: Any) -> None:
        async with pod.ready(grace_period=3) as life:
            await pod.until_state("ready")
            work = life.track(name="import \x1b[31m7")
            work.__enter__()
        assert pod.api.status()["state"] == "failed"
        assert pod.api.reasons()[-2:] == ["Drained", "CutOff"]
        assert "import" in pod.message("CutOff")
        assert pod.message("CutOff").isprintable()
        assert "In flight at its end: 1." in pod.message("Drained")
        assert pod.api.events[-1]["type"] == "Warning"
        work.__exit__(None, None, None)

    play(scenario)


def test_drained_has_the_requests_that_came_late(play: Play) -> None:
    """What `settle` is for: clients that had not noticed yet."""

    async def scenario(pod: Any) -> None:
        async with pod.ready(settle=0.5) as life:
            life.begin_drain("test")
            await life.reached(lifecycle.State.DRAINING)
            with life.track("curl", "/orders", "GET"):
                pass
            await life.drained()
            assert "Requests after its start: 1, the last one" in await pod.until_event("Drained")

    play(scenario)


def test_a_slow_start_is_told_while_it_lasts(play: Play) -> None:
    """A pod that never becomes ready tells its longest step, and not after it was ready."""

    async def scenario(pod: Any) -> None:
        pod.environment.setenv("LIFECYCLE_KUBERNETES_SLOW_START_AFTER", "1")
        async with pod.run() as life:
            assert "longer than 1 s. The longest step" in await pod.until_event("StartSlow")
            await life.ready()
        async with pod.ready() as life:
            slow = life.snapshot()["start"]["seconds"] >= 1  # on a busy machine
            await asyncio.sleep(1.2)
        assert pod.api.reasons().count("StartSlow") == 1 + slow

    play(scenario)


@pytest.mark.parametrize(
    ("events", "status", "sent"),
    [
        ("none", "true", []),
        ("Draining,cutoff", "true", ["Draining"]),
        ("all", "false", ["Registered", "Ready", "Draining", "Drained"]),
        ("none", "false", []),
    ],
)
def test_options_turn_each_report_off(
    play: Play, events: str, status: str, sent: list[str]
) -> None:
    """What is off is no request; the registration is as ever."""

    async def scenario(pod: Any) -> None:
        pod.environment.setenv("LIFECYCLE_KUBERNETES_EVENTS", events)
        pod.environment.setenv("LIFECYCLE_KUBERNETES_STATUS", status)
        async with pod.ready():
            if status == "true":
                await pod.until_state("ready")
            assert pod.api.condition() == "True"
        assert pod.api.reasons() == sent
        assert pod.api.count("POST") == len(sent)
        assert bool(pod.api.statuses) is bool(pod.api.count(REPORT)) is (status == "true")

    play(scenario)


def test_a_plugin_that_is_removed_leaves_no_state_behind(play: Play) -> None:
    """Nobody would keep it up to date."""

    async def scenario(pod: Any) -> None:
        pod.environment.setenv("LIFECYCLE_PLUGINS", "no:kubernetes")
        async with pod.run() as life:
            await become_ready(life)
            pod.environment.setenv("LIFECYCLE_PODS_ACCOUNT", str(pod.api.account))
            installed = await life.use_async(Kubernetes(), name="pods")
            await pod.until_state("ready")
            assert pod.api.reasons() == [], "what was before is not told as new"
            await installed.remove_async()
            assert pod.api.status() is None

    play(scenario)

"""What is written onto the pod: how often, in which order, and what comes late."""

from __future__ import annotations

import asyncio
import itertools
import json
from types import SimpleNamespace
from typing import Any

import httpx2
import lifecycle_kubernetes.api
import lifecycle_kubernetes.registry
import pytest

from plugins.kubernetes.tests.conftest import Play

# httpcore leaves a socket open when it is cancelled in a TLS handshake.
pytestmark = pytest.mark.filterwarnings("ignore:.*:pytest.PytestUnraisableExceptionWarning")


def asked_to_patch(pod: Any) -> int:
    return sum(method == "PATCH" for method, _ in pod.api.asked)


def test_offline_is_acknowledged_after_the_registration_that_it_ends(play: Play) -> None:
    """A request under way is waited for, not given up: what is written last is what is wanted."""

    async def scenario(pod: Any) -> None:
        async with pod.ready() as life:
            await pod.watched()
            life.offline()
            await pod.until(lambda: pod.cell()["registered"] == "no", "it is out")
            pod.api.hold = asyncio.Event()
            sent = asked_to_patch(pod)
            life.online()
            await pod.until(lambda: asked_to_patch(pod) > sent, "it is about to be in")
            life.offline()
            await pod.until(lambda: not life.services["orders"].online, "it is to be out")
            assert pod.cell()["registered"] == "unknown"
            pod.api.hold.set()
            await pod.until(lambda: pod.cell()["registered"] == "no", "it is out again")
            assert [condition for condition, _ in pod.api.patched[-2:]] == ["True", "False"]
            assert asked_to_patch(pod) == sent + 2

    play(scenario)


def test_a_request_that_was_given_up_and_arrives_late_is_undone(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acknowledged as out, and then a registration comes through: it is out again."""
    monkeypatch.setattr(lifecycle_kubernetes.api, "TIMEOUT", httpx2.Timeout(0.5, connect=3.0))

    async def scenario(pod: Any) -> None:
        async with pod.ready() as life:
            await pod.watched()
            life.offline()
            await pod.until(lambda: pod.cell()["registered"] == "no", "it is out")
            late = pod.api.hold = asyncio.Event()
            life.online()
            await pod.until(lambda: "slow: " in pod.cell()["reason"], "it is given up")
            pod.api.hold = None
            life.offline()
            await pod.until(lambda: pod.cell()["registered"] == "no", "it is out")
            since = len(pod.api.patched)
            late.set()
            await pod.until(lambda: len(pod.api.patched) > since, "the late one arrives")
            await pod.until(
                lambda: pod.api.patched[since][0] == "True" and pod.api.condition() == "False",
                "it is undone",
            )
            assert pod.cell()["registered"] == "no"

    play(scenario)


def test_many_services_are_written_together(play: Play) -> None:
    """Twenty register in a few requests, and leave in one; the pod is watched once for all."""

    async def scenario(pod: Any) -> None:
        pod.api.latency = 0.2
        names = [f"s{number}" for number in range(20)]
        async with pod.ready(*names) as life:
            value = json.loads(pod.api.annotation())
            assert len(pod.api.patched) <= 3
            assert len(json.loads(value["dubbo.endpoints"])) == 20
            await pod.watched()
            assert pod.api.watches("pods") == 1
            since = len(pod.api.patched)
            life.begin_drain("test")
            await life.drained()
        assert pod.api.patched[since:] == [("False", None)]
        assert "unregistered" not in pod.said("drain report")[0]

    play(scenario)


def test_a_state_that_is_older_than_the_last_write_is_requested_again(play: Play) -> None:
    """It was read before the deregistration, and arrives after it: that is not written twice."""

    async def scenario(pod: Any) -> None:
        def gets() -> int:
            return sum(method == "GET" and "?" not in path for method, path in pod.api.asked)

        pod.environment.setenv("LIFECYCLE_KUBERNETES_STATUS", "false")
        async with pod.ready() as life:
            await pod.watched()
            written, watches = len(pod.api.patched), pod.api.watches("pods")
            pod.api.hold = asyncio.Event()
            sent = asked_to_patch(pod)
            life.offline()
            await pod.until(lambda: asked_to_patch(pod) > sent, "it is about to be out")
            pod.api.hold_gets, asked = asyncio.Event(), gets()
            pod.api.change()  # of something else on the pod
            await pod.until(lambda: gets() > asked, "the state is requested")
            pod.api.hold.set()
            await pod.until(lambda: pod.cell()["registered"] == "no", "it is out")
            pod.api.hold_gets.set()
            await pod.until(lambda: pod.api.watches("pods") > watches, "it is watched again")
            life.online()
            await pod.until(lambda: pod.cell()["registered"] == "yes", "it is in again")
            assert [condition for condition, _ in pod.api.patched[written:]] == ["False", "True"]

    play(scenario)


def test_more_services_than_a_client_has_connections_register(play: Play) -> None:
    """Each watches its own EndpointSlices: no watch takes another request's place."""

    async def scenario(pod: Any) -> None:
        async with pod.ready(*(f"s{number}" for number in range(105)), register_timeout=10) as life:
            await pod.until(lambda: pod.api.watches("endpointslices") == 105, "all are watched")
            life.offline()
            await pod.until(lambda: pod.api.condition() == "False", "it is out")

    play(scenario)


def test_the_conditions_time_is_that_of_its_last_change(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second service leaves it as it is; when somebody has set False, it is a new one."""
    clock = itertools.count(1)
    monkeypatch.setattr(
        lifecycle_kubernetes.registry, "time", SimpleNamespace(time=lambda: next(clock))
    )

    def moment(pod: Any) -> str:
        return str(pod.api.pod["status"]["conditions"][-1]["lastTransitionTime"])

    async def scenario(pod: Any) -> None:
        async with pod.ready() as life:
            first = moment(pod)
            life.export("stock", port=8081)
            await pod.until(lambda: len(pod.api.patched) > 1, "both are in")
            assert moment(pod) == first
            since = len(pod.api.patched)
            pod.api.pod["status"]["conditions"][-1]["status"] = "False"
            pod.api.change()
            await pod.until(lambda: len(pod.api.patched) > since, "it is in again")
            assert pod.api.condition() == "True"
            assert moment(pod) > first

    play(scenario)


def test_how_long_it_took_to_be_seen_is_told_once(play: Play) -> None:
    """A moment of unreadiness later on is no slow registration."""

    async def scenario(pod: Any) -> None:
        async with pod.ready():
            await pod.until(lambda: pod.cell()["visible"], "it is visible")
            after = pod.cell()["visible_after"]
            assert 0 <= after < 20
            pod.api.ready = False
            pod.api.change()
            await pod.until(lambda: pod.cell()["visible"] is False, "it is not ready")
            pod.api.ready = True
            pod.api.change()
            await pod.until(lambda: pod.cell()["visible"], "it is ready again")
            assert pod.cell()["visible_after"] == after

    play(scenario)


def test_a_pod_that_is_gone_is_out(play: Play) -> None:
    """Not found is success for a deregistration: with the pod everything is out."""

    async def scenario(pod: Any) -> None:
        async with pod.ready():
            pod.api.answers["PATCH"] = [404] * 100
        assert "unregistered" not in pod.said("drain report")[0]
        pod.api.change()  # whoever is gone is noticed when something is sent
        await pod.until(lambda: not pod.api.connections, "every connection is closed")

    play(scenario)


def test_a_pod_that_is_deleted_is_said(play: Play) -> None:
    """Whatever its condition was in the end."""

    async def scenario(pod: Any) -> None:
        async with pod.ready():
            await pod.watched()
            pod.api.told = "DELETED"
            pod.api.change()
            await pod.until(
                lambda: any(
                    each.get("reason") == "the pod is deleted" for each in pod.said("registration")
                ),
                "it is said",
            )

    play(scenario)


def test_a_silent_api_server_is_slow_after_five_seconds(play: Play) -> None:
    """One request waits no longer; a drain that is over before says that there is no answer yet."""

    async def scenario(pod: Any) -> None:
        async with pod.run(register_timeout=15) as life:
            await pod.until(lambda: pod.api.asked, "the pod is read")
            pod.api.hold = asyncio.Event()
            life.export("orders", port=8080)
            ready = asyncio.ensure_future(life.ready())
            await pod.until(
                lambda: pod.cell()["reason"] == "slow: no answer for 5 s", "it is given up"
            )
            pod.api.hold.set()
            pod.api.hold = None
            await ready

    play(scenario)

"""A real lifecycle in a pod, against an API server that has good days and bad ones."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

import lifecycle
from plugins.kubernetes.tests.conftest import Play, become_ready

REGISTERED = "pod-lifecycle.dev/registered"
STATUS = "pod-lifecycle.dev/status"
# httpcore leaves a socket open when it is cancelled in a TLS handshake.
pytestmark = pytest.mark.filterwarnings("ignore:.*:pytest.PytestUnraisableExceptionWarning")


def test_registering_sets_condition_and_annotation_and_leaving_takes_them_away(play: Play) -> None:
    """READY comes with both on the pod; after the drain neither is left, and the report says so."""

    async def scenario(pod: Any) -> None:
        async with pod.ready(settle=0.5) as life:
            assert pod.api.condition() == "True"
            value = json.loads(pod.api.annotation())
            assert json.loads(value["dubbo.endpoints"]) == [{"port": 8080, "protocol": ""}]
            await pod.until(lambda: pod.cell()["visible"], "it is visible")
            life.begin_drain("test")
            await pod.until(lambda: pod.cell()["visible"] is False, "it is visible no more")
        assert (pod.api.condition(), pod.api.annotation()) == ("False", None)
        assert len(pod.api.pod["status"]["conditions"]) == 2
        (report,) = pod.said("drain report")
        assert report["registries"]["orders@kubernetes"]["visible"] is False, report

    play(scenario)


def test_offline_and_online_follow_at_once(play: Play) -> None:
    """What the operator does to one service changes the annotation, to the last one the gate."""

    async def scenario(pod: Any) -> None:
        async with pod.ready("orders", "stock") as life:
            life.offline("orders")
            await pod.until(lambda: "8080" not in (pod.api.annotation() or ""), "orders is out")
            assert "8081" in pod.api.annotation()
            assert pod.api.condition() == "True"
            life.offline("stock")
            await pod.until(lambda: pod.api.condition() == "False", "the pod is out")
            life.online()
            await pod.until(lambda: pod.api.annotation() is not None, "it is in again")
            assert pod.api.condition() == "True"

    play(scenario)


@pytest.mark.parametrize("condition", ["True", "False"])
def test_what_a_previous_container_left_is_cleared_before_the_app_is_ready(
    play: Play, condition: str
) -> None:
    """Condition and annotation of a container that died are gone while the next one starts."""

    async def scenario(pod: Any) -> None:
        pod.api.pod["status"]["conditions"].append({"type": REGISTERED, "status": condition})
        pod.api.pod["metadata"]["annotations"] = {"io.dubbo/metadata": "{}", "mine": "stays"}
        async with pod.run() as life:
            await pod.until(lambda: pod.api.annotation() is None, "it is cleared")
            assert pod.api.condition() == "False"
            assert {*pod.api.pod["metadata"]["annotations"]} == {"mine", STATUS}
            assert life.state is lifecycle.State.STARTING

    play(scenario)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (403, "forbidden"),
        (404, "not found"),
        (409, "conflict"),
        (429, "throttled"),
        (500, "broken"),
    ],
)
def test_each_failure_has_a_name_and_is_tried_again(play: Play, status: int, state: str) -> None:
    """While it is refused, the registration says why; afterwards it is registered."""

    async def scenario(pod: Any) -> None:
        pod.api.answers["PATCH"] = [status] * 3
        async with pod.run() as life:
            life.export("orders", port=8080)
            ready = asyncio.ensure_future(life.ready())
            await pod.until(
                lambda: pod.cell()["reason"].startswith(f"{state}: the "), "it says why"
            )
            await ready
            assert pod.cell()["reason"] == ""

    play(scenario)


def test_what_is_invalid_is_refused_for_good(play: Play) -> None:
    """A patch that the API server will never take makes ready() raise."""

    async def scenario(pod: Any) -> None:
        pod.api.answers["PATCH"] = [422]
        async with pod.run() as life:
            with pytest.raises(lifecycle.RegistrationRefused, match="invalid"):
                await become_ready(life)

    play(scenario)


def test_a_service_that_is_refused_takes_no_other_with_it(play: Play) -> None:
    """Of two that register side by side one is invalid; the other one is registered."""

    async def scenario(pod: Any) -> None:
        pod.api.refuses = "8081"
        async with pod.run() as life:
            with pytest.raises(lifecycle.RegistrationRefused):
                await become_ready(life, "orders", "stock")
            await pod.until(lambda: "8080" in (pod.api.annotation() or ""), "orders is in")
            assert pod.api.condition() == "True"

    play(scenario)


def test_an_annotation_that_is_dropped_is_no_registration(play: Play) -> None:
    """A policy that takes the annotation out of the patch is noticed: it is not acknowledged."""

    async def scenario(pod: Any) -> None:
        pod.api.drop_annotations = True
        async with pod.run() as life:
            life.export("orders", port=8080)
            ready = asyncio.ensure_future(life.ready())
            await pod.until(lambda: "not kept" in pod.cell()["reason"], "it says why")
            pod.api.drop_annotations = False
            await ready

    play(scenario)


def test_another_pod_of_the_same_name_is_left_alone(play: Play) -> None:
    """A pod that was replaced: its successor's condition is not ours to change."""

    async def scenario(pod: Any) -> None:
        async with pod.ready():
            pod.api.pod["metadata"]["uid"] = "u2"
        assert pod.api.condition() == "True"
        assert "unregistered" not in pod.said("drain report")[0]

    play(scenario)


def test_the_grace_period_is_the_pods_unless_it_is_set(play: Play) -> None:
    """What the spec says becomes grace_period, with its source; a keyword wins, with a warning."""

    async def scenario(pod: Any) -> None:
        pod.api.pod["spec"]["terminationGracePeriodSeconds"] = 45
        async with pod.ready() as life:
            assert life.config.grace_period == 45
            assert life.config.public()["grace_period"]["source"] == "pod"
        problems = [each["problem"] for each in pod.said("manifest")]
        assert any("no readinessGate" in each for each in problems)
        assert not any("grace_period" in each for each in problems)
        async with pod.ready(grace_period=60) as life:
            assert life.config.grace_period == 60
        assert any("the kubelet kills the pod" in each["problem"] for each in pod.said("manifest"))

    play(scenario)


def test_a_port_that_no_container_declares_is_said_once(play: Play) -> None:
    """A service on another port than the manifest's is a warning, however often it comes back."""

    async def scenario(pod: Any) -> None:
        pod.api.pod["spec"]["containers"][0]["ports"] = [{"containerPort": 9000}]
        async with pod.ready() as life:
            life.offline()
            await pod.until(lambda: pod.api.condition() == "False", "it is out")
            life.online()
            await pod.until(lambda: pod.api.condition() == "True", "it is in")
        said = [each["problem"] for each in pod.said("manifest")]
        assert (
            len([each for each in said if "port 8080, but the containers declare 9000" in each])
            == 1
        )

    play(scenario)


def test_a_laptop_is_left_out_and_told(monkeypatch: pytest.MonkeyPatch, play: Play) -> None:
    """Without a service account there is no registry, and a line in the log; `true` refuses."""

    async def scenario(pod: Any) -> None:
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
        async with pod.ready() as life:
            registrations = life.snapshot()["services"][0]["registrations"]
            assert "kubernetes" not in registrations
        assert pod.said("kubernetes")[0]["registry"] == "left out"
        monkeypatch.setenv("LIFECYCLE_KUBERNETES_ENABLED", "true")
        with pytest.raises(lifecycle.LifecycleError, match="this is not a pod"):
            async with pod.run():
                pass
        monkeypatch.setenv("LIFECYCLE_KUBERNETES_ENABLED", "false")
        async with pod.ready():
            pass

    play(scenario)


def test_importing_the_plugin_does_not_import_lightkube() -> None:
    """Where the registry is left out, lightkube costs nothing."""
    code = "import sys, lifecycle_kubernetes.plugin as p; p.Kubernetes(); print('lightkube' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"

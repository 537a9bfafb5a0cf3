"""A Pod on a real kubelet: its probes, its preStop, its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from lightkube.resources.core_v1 import Pod

from tests.e2e import manifests
from tests.e2e.kit import LATEST, Departure, Space
from tests.process.kit import background

EXAMPLE = Path(__file__).parents[2] / "examples" / "asgi_app.py"
SLOW = Path(__file__).parent / "served" / "slow.py"
RUN = (
    *("lifecycle", "run", "--app-dir", "/app", "--asgi", "asgi_app:app"),
    *("--bind", f"0.0.0.0:{manifests.PORT}", "--service", "orders"),
)
NEVER = {"FailedPreStopHook", "FailedKillPod", "ExceededGracePeriod", "BackOff"}
"""Events that a pod which is deleted must not have."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("prestop", [manifests.EXEC, manifests.HTTP], ids=["exec", "httpGet"])
def test_a_pod_becomes_ready_is_found_and_leaves_by_prestop_and_sigterm(
    space: Space, prestop: dict[str, Any]
) -> None:
    """
    Under the real kubelet an example becomes Ready and is an endpoint of its Service; deleted,
    it is asked by preStop first and by SIGTERM then, and ends with 0 and without a complaint.
    """
    space.files("orders", EXAMPLE)
    space.create(manifests.service("orders"))
    env = {"LIFECYCLE_PRESTOP_TOKEN": manifests.TOKEN}
    space.create(manifests.pod("orders", space.image, RUN, env=env, prestop=prestop))
    space.found("orders")

    gone = space.delete("orders")

    (report,) = gone.said("drain report")
    (signal,) = gone.said("signal")
    assert (report["cause"], report["code"], gone.exit_code()) == ("preStop", 0, 0)
    assert signal["signal"] == "SIGTERM"
    assert gone.said("draining")[0]["timestamp"] < signal["timestamp"]
    assert not NEVER & {reason for reason, _ in space.events("orders")}
    assert not [text for _, text in space.events("orders") if "Liveness" in text]


@pytest.mark.timeout(300)
def test_a_prestop_that_fails_is_an_event(space: Space) -> None:
    """What the test above does not find would be seen: the kubelet notes a hook that fails."""
    space.files("orders", EXAMPLE)
    fails = {"exec": {"command": ["python3", "-c", "raise SystemExit(1)"]}}
    space.create(manifests.pod("orders", space.image, RUN, prestop=fails))
    space.wait_ready("orders")

    space.delete("orders")

    assert "FailedPreStopHook" in {reason for reason, _ in space.events("orders")}


@pytest.mark.timeout(300)
def test_what_is_in_flight_when_a_pod_is_deleted_is_answered(space: Space) -> None:
    """
    Six requests of 12 s, and in their middle the pod is deleted: all end in 200 (Knative's case).
    Meanwhile its endpoint is terminating and not serving, and nothing asks liveness.
    """
    argv = [each.replace("asgi_app", "slow") for each in RUN]
    pod = manifests.pod("slow", space.image, argv, env={"LIFECYCLE_GRACE_PERIOD": "60"})
    pod["spec"]["terminationGracePeriodSeconds"] = 60
    space.files("slow", SLOW)
    space.create(manifests.service("slow"))
    space.create(pod)
    space.wait_ready("slow")
    address = space.address("slow")
    url = f"http://{address}:{manifests.PORT}/"

    answers = [background(lambda: httpx2.get(url, timeout=60).status_code) for _ in range(6)]
    space.wait(lambda: len(asked(space)) == 6, "all are under way", about="slow")
    leaving = Departure(space, "slow")
    space.client.delete(Pod, "slow")
    space.wait(
        lambda: space.endpoints("slow") == {address: (False, False, True)},
        "its endpoint is terminating and not serving",
        about="slow",
    )

    assert [each.result(LATEST) for each in answers] == [200] * 6
    assert leaving.exit_code() == 0
    (report,) = leaving.said("drain report")
    assert report["cause"] == "preStop"
    assert not NEVER & {reason for reason, _ in space.events("slow")}
    assert not [text for _, text in space.events("slow") if "Liveness" in text]


def asked(space: Space) -> list[object]:
    """Return the requests that the app has seen."""
    return [each for each in space.log("slow") if each["event"] == "asked"]

"""A Pod on a real kubelet: its probes, its preStop, its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e import manifests
from tests.e2e.kit import Space

EXAMPLE = Path(__file__).parents[2] / "examples" / "asgi_app.py"
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
    space.wait_ready("orders")
    address = space.address("orders")
    space.wait(
        lambda: space.endpoints("orders") == {address: (True, True, False)},
        "the EndpointSlice has the ready pod",
        about="orders",
    )

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

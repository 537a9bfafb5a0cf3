"""Kubernetes as the registry: the readiness gate of a real pod."""

from __future__ import annotations

import json
import time
from datetime import datetime

import pytest
from lightkube.resources.discovery_v1 import EndpointSlice

from tests.e2e import registering
from tests.e2e.kit import Space
from tests.process.kit import background

PROMISED = 1.0
"""Seconds in which the EndpointSlices follow, on a machine that has nothing else to do."""
PATIENCE = 10.0
"""The three probes that would have to fail take 30."""


def flip(space: Space, command: str, ready: bool) -> float:
    """Run a command in the pod; return the seconds from its arrival to the EndpointSlice."""
    label = {"kubernetes.io/service-name": "orders"}

    def follow() -> float:
        for _, piece in space.client.watch(EndpointSlice, labels=label):
            for each in piece.endpoints or ():
                if each.conditions and each.conditions.ready is ready:
                    return time.time()
        raise AssertionError("the watch ended")

    flipped = background(follow)
    space.run("orders", "lifecycle", command)
    at = flipped.result(PATIENCE * 3)
    times = {
        each["event"]: datetime.fromisoformat(each["timestamp"]).timestamp()
        for each in space.log("orders")
    }
    asked, acknowledged = times["command"], times["registration"]
    print(f"\n{command}: acknowledged in {acknowledged - asked:.3f} s, seen in {at - asked:.2f} s")
    return at - asked


@pytest.mark.timeout(300)
def test_a_pod_becomes_ready_through_its_gate_and_endpoints_follow_the_operator(
    space: Space,
) -> None:
    """
    The registry sets the gate and the annotation; offline and online are in the EndpointSlices
    long before a probe could have noticed; deleted, the pod leaves without a complaint.
    """
    registering.create(space)
    space.wait_ready("orders")
    address = space.address("orders")
    status, annotation = registering.seen(space)
    assert status == "True"
    assert json.loads(json.loads(annotation)["dubbo.endpoints"]) == [{"port": 8080, "protocol": ""}]
    space.wait(lambda: registering.registration(address)["visible"], "it is visible")

    times = []
    for _ in range(3):
        times.append(flip(space, "offline", ready=False))
        assert registering.seen(space) == ("False", "")
        times.append(flip(space, "online", ready=True))
        assert registering.seen(space)[0] == "True"
    print(
        f"\nEndpointSlices follow in {[round(each, 2) for each in times]} s ({PROMISED} promised)"
    )
    assert max(times) < PATIENCE

    gone = space.delete("orders")
    (report,) = gone.said("drain report")
    assert gone.exit_code() == 0
    assert report["registries"]["orders@kubernetes"]["visible"] is False
    assert not [each["problem"] for each in gone.said("manifest")]


@pytest.mark.timeout(300)
def test_a_container_that_starts_again_clears_what_was_left(space: Space) -> None:
    """A container dies registered; the next one takes it out before it is ready to serve."""
    registering.create(space)
    space.wait_ready("orders")
    assert registering.seen(space)[0] == "True"

    registering.tell(space.address("orders"), "die")

    space.wait(lambda: space.restarts("orders"), "it is restarted", about="orders")
    space.wait(lambda: registering.seen(space) == ("False", ""), "it is cleared", about="orders")
    assert not space.ready("orders")
    registering.tell(registering.address(space), "go")
    space.wait_ready("orders")
    assert registering.seen(space)[0] == "True"


@pytest.mark.timeout(300)
def test_a_pod_without_the_rights_says_which(space: Space) -> None:
    """Without the Role, the registration waits and repeats the API server's own sentence."""
    registering.create(space, account=False)
    address = registering.address(space)

    reason = space.wait(
        lambda: registering.registration(address).get("reason"),
        "the registration has a reason",
        about="orders",
    )

    assert "forbidden" in reason
    assert "system:serviceaccount" in reason
    assert not space.ready("orders")

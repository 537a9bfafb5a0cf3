"""kill -9 of a real API server: while registering, while ready, while draining."""

from __future__ import annotations

import pytest

from tests.cluster.cluster import Cluster
from tests.e2e import registering
from tests.e2e.kit import LATEST, Space
from tests.e2e.manifests import GRACE
from tests.process.kit import wait_for


@pytest.mark.timeout(300)
def test_the_api_server_is_killed_while_a_pod_registers(space: Space, cluster: Cluster) -> None:
    """What registers waits, says why, and is ready when the API server is back."""
    registering.create(space, WAIT="1")
    address = registering.address(space)
    cluster.kill("kube-apiserver")

    registering.tell(address, "go")
    wait_for(lambda: registering.registration(address).get("reason"), LATEST, "it says why")
    told = registering.registration(address)
    assert told["registered"] == "unknown"
    assert not registering.ready(address)

    cluster.start("kube-apiserver")
    cluster.wait_for_api_server()
    space.wait_ready("orders")
    assert registering.seen(space)[0] == "True"


@pytest.mark.timeout(300)
def test_the_api_server_is_killed_while_a_pod_is_ready(space: Space, cluster: Cluster) -> None:
    """A healthy provider stays in, and is still registered when the API server is back."""
    registering.create(space)
    space.wait_ready("orders")
    address = space.address("orders")

    cluster.kill("kube-apiserver")
    wait_for(
        lambda: registering.registration(address).get("registered") == "unknown",
        LATEST,
        "it notices",
    )
    assert registering.ready(address)
    assert registering.registration(address)["visible"] is None

    cluster.start("kube-apiserver")
    cluster.wait_for_api_server()
    wait_for(
        lambda: registering.registration(address).get("registered") == "yes", LATEST, "it is back"
    )
    assert space.ready("orders")
    assert space.restarts("orders") == 0


@pytest.mark.timeout(300)
def test_the_api_server_is_killed_while_a_pod_drains(space: Space, cluster: Cluster) -> None:
    """A drain that cannot deregister waits for register_timeout, and no longer."""
    registering.create(space)
    space.wait_ready("orders")
    address = space.address("orders")

    cluster.kill("kube-apiserver")
    took = registering.prestop(address)

    print(f"\npreStop was answered after {took:.2f} s without an API server")
    assert 3 <= took < GRACE - 2

"""A real API server killed or silent: while registering, while ready, while draining."""

from __future__ import annotations

import re
from contextlib import ExitStack

import pytest
from lightkube.resources.core_v1 import Pod

from tests.cluster.cluster import Cluster
from tests.e2e import registering
from tests.e2e.history import History
from tests.e2e.kit import LATEST, Space
from tests.e2e.manifests import GRACE
from tests.process.kit import background, wait_for


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

    cluster.bring_back_api_server()
    space.wait_ready("orders")
    assert registering.seen(space)[0] == "True"


@pytest.mark.timeout(300)
def test_the_api_server_is_killed_while_a_pod_is_ready(space: Space, cluster: Cluster) -> None:
    """
    A healthy provider stays in, and is still registered when the API server is back: no version
    of the pod or of its EndpointSlice, from before the kill on, has it out for a moment.
    """
    registering.create(space)
    address = space.found("orders")
    history = History(cluster, space)

    cluster.kill("kube-apiserver")
    registering.wait_registered(address, "unknown", "it notices")
    assert registering.ready(address)
    assert registering.registration(address)["visible"] is None

    cluster.bring_back_api_server()
    registering.wait_registered(address, "yes", "it is back")
    history.stay().assert_in()
    assert space.restarts("orders") == 0

    # Who is taken out is seen.
    space.run("orders", "lifecycle", "offline")
    space.wait(lambda: registering.seen(space) == ("False", ""), "it is out", about="orders")
    space.run("orders", "lifecycle", "online")
    space.wait_ready("orders")
    assert {status for status, _ in history.stay().registered} == {"True", "False"}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("away", ["killed", "silent"])
def test_the_api_server_is_away_while_a_pod_drains(
    space: Space, cluster: Cluster, away: str
) -> None:
    """A drain that cannot deregister waits for register_timeout, and no longer."""
    registering.create(space)
    space.wait_ready("orders")
    address = space.address("orders")

    with ExitStack() as stack:
        if away == "silent":
            stack.enter_context(cluster.silent())
        else:
            cluster.kill("kube-apiserver")
        took = registering.prestop(address)

    print(f"\npreStop was answered after {took:.2f} s, the API server {away}")
    assert 3 <= took < GRACE - 2


@pytest.mark.timeout(300)
def test_the_api_server_is_killed_in_the_middle_of_a_drain(space: Space, cluster: Cluster) -> None:
    """What was deregistered stays so, and the drain takes its time and no more."""
    registering.create(space, LIFECYCLE_SETTLE="6")
    space.wait_ready("orders")
    address = space.address("orders")

    hook = background(lambda: registering.prestop(address))
    space.wait(lambda: registering.seen(space) == ("False", ""), "it is out", about="orders")
    cluster.kill("kube-apiserver")

    assert 6 <= hook.result(LATEST) < GRACE - 2
    cluster.bring_back_api_server()
    assert registering.seen(space) == ("False", "")


@pytest.mark.timeout(300)
def test_a_container_dies_while_the_api_server_is_away(space: Space, cluster: Cluster) -> None:
    """The next container clears what was left as soon as the API server is back."""
    registering.create(space)
    space.wait_ready("orders")
    address = space.address("orders")

    cluster.kill("kube-apiserver")
    registering.tell(address, "die")
    wait_for(lambda: state(address) == "starting", LATEST, "the next container starts")
    cluster.bring_back_api_server()

    space.wait(lambda: registering.seen(space) == ("False", ""), "it is cleared", about="orders")
    registering.tell(address, "go")
    space.wait_ready("orders")


@pytest.mark.timeout(300)
def test_a_silent_api_server_is_noticed_and_forgiven(space: Space, cluster: Cluster) -> None:
    """
    An API server that keeps connections open and says nothing is asked after `idle`, and named;
    the provider stays in, and its watch works again afterwards.
    """
    registering.create(space, LIFECYCLE_KUBERNETES_IDLE="2")
    address = space.found("orders")
    history = History(cluster, space)

    with cluster.silent():
        registering.wait_registered(address, "unknown", "it notices")
        assert re.search("slow|unreachable|no answer", registering.registration(address)["reason"])
        assert registering.ready(address)

    registering.wait_registered(address, "yes", "it is back")
    history.stay().assert_in()
    space.client.patch(Pod, "orders", {"metadata": {"annotations": {registering.ANNOTATION: None}}})
    space.wait(lambda: registering.seen(space)[1], "its watch sees a loss", about="orders")
    assert space.restarts("orders") == 0


def state(address: str) -> str:
    """Return the app's state; nothing while it does not answer."""
    try:
        return str(registering.ask(address, "/status")["state"])
    except OSError:
        return ""

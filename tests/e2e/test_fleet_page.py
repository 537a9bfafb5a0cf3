"""The page of lifecycle-fleet, as `lifecycle manifests --profile=control-plane` writes it."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from lightkube.resources.core_v1 import Pod

from tests.cluster.fixtures import Target
from tests.e2e.generated import Kubectl, written
from tests.e2e.kit import Space
from tests.e2e.test_generated import assert_rolls

PROFILE: Final = ("--profile=control-plane",)


def ask(pod: Pod, path: str, token: str = "") -> tuple[int, bytes]:
    """Ask one of the replicas, at its own address: status and body."""
    assert pod.status is not None
    connection = http.client.HTTPConnection(str(pod.status.podIP), 8080, timeout=20)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def names(pod: Pod, token: str = "") -> dict[str, Any]:
    """Return the pods that a replica shows, by namespace and name."""
    status, body = ask(pod, "/pods.json", token)
    assert status == 200, body
    return {f"{each['namespace']}/{each['name']}": each for each in json.loads(body)["pods"]}


@contextmanager
def reading(pods: list[Pod]) -> Iterator[None]:
    """Hold a stream of each replica open. Each one must have ended as a whole at the end."""
    connections = []
    for pod in pods:
        assert pod.status is not None
        connection = http.client.HTTPConnection(str(pod.status.podIP), 8080, timeout=20)
        connection.request("GET", "/events", headers={"Accept": "text/event-stream"})
        connections.append((connection, connection.getresponse()))
    try:
        yield
        for _, answer in connections:
            assert answer.read().startswith(b"event: begin\n")  # or it raises IncompleteRead
    finally:
        for connection, _ in connections:
            connection.close()


@contextmanager
def applied(space: Space, kubectl: Kubectl, *options: str) -> Iterator[list[Pod]]:
    """Apply the manifest unchanged, and give its pods; what belongs to no namespace is deleted."""
    words = (*PROFILE, "--namespace", space.name, "--image", space.image, *options)
    kubectl.apply("-f", "-", stdin=written(*words, command=()))
    try:
        yield kubectl.rolled_out("orders")
    finally:
        for kind in ("clusterrolebinding", "clusterrole"):
            kubectl("delete", kind, "-l", "app.kubernetes.io/name=orders", "--ignore-not-found")


@pytest.mark.timeout(600)
def test_the_page_runs_with_exactly_the_rights_that_are_written(
    space: Space, target: Target
) -> None:
    """
    Where `restricted` is enforced, it sees all namespaces, follows each change, and a rolling update
    of it ends every replica cleanly, with open streams.
    """
    kubectl = Kubectl(target, space)
    with applied(space, kubectl) as found:
        for replica in found:
            assert replica.metadata is not None
            shown = names(replica)
            for each in found:
                assert each.metadata is not None
                own = shown[f"{space.name}/{each.metadata.name}"]
                assert own["workload"] == "deploy/orders"
                assert own["ready"]
            status, metrics = ask(replica, "/metrics")
            assert status == 200
            for kind in ("pods", "endpointslices", "events"):
                assert f'watching{{kind="{kind}"}} 1.0'.encode() in metrics
                assert f'lists_total{{kind="{kind}"}} 1.0'.encode() in metrics
            held = kubectl.status(replica.metadata.name or "")
            assert held["state"] == "ready"
        with reading(found):
            assert_rolls(space, kubectl, found)


@pytest.mark.timeout(600)
def test_one_namespace_and_tokens(space: Space, target: Target) -> None:
    """A Role is enough; a reader needs a token of a user that may list the pods there."""
    kubectl = Kubectl(target, space)
    for account in ("reader", "stranger"):
        kubectl("create", "serviceaccount", account)
    kubectl("create", "role", "reader", "--verb=list", "--resource=pods")
    account = f"{space.name}:reader"
    kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={account}")
    tokens = {each: kubectl("create", "token", each).strip() for each in ("reader", "stranger")}
    with applied(space, kubectl, "--namespaced", "--auth=token") as found:
        replica = found[0]
        assert ask(replica, "/")[0] == ask(replica, "/healthz")[0] == 200
        assert ask(replica, "/pods.json")[0] == 401
        assert ask(replica, "/pods.json", "x.y.z")[0] == 401
        assert ask(replica, "/pods.json", tokens["stranger"])[0] == 403
        shown = names(replica, tokens["reader"])
        assert {each.split("/")[0] for each in shown} == {space.name}

        kubectl("delete", "rolebinding", "reader")
        began = time.monotonic()
        space.wait(
            lambda: ask(replica, "/pods.json", tokens["reader"])[0] == 403, "the right is gone"
        )
        assert time.monotonic() - began < 45

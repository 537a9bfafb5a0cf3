"""Kubernetes as the registry: the readiness gate of a real pod."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

import pytest
from lightkube.resources.discovery_v1 import EndpointSlice

from tests.e2e import accounts, manifests, registering
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
def test_a_pod_without_the_rights_says_which_until_it_has_them(space: Space) -> None:
    """
    Without the Role main starts, and the registration waits and repeats the API server's own
    sentence, in /status and in the log; with it, the pod becomes ready by itself.
    """
    registering.create(space, account="default")
    address = registering.address(space)

    reason = space.wait(
        lambda: registering.registration(address).get("reason"),
        "the registration has a reason",
        about="orders",
    )
    assert "forbidden: " in reason
    assert "system:serviceaccount" in reason
    assert registering.registration(address)["registered"] != "yes"
    assert not registering.ready(address)
    assert any("forbidden: " in str(each.get("reason")) for each in space.log("orders"))

    registering.allow(space, "default")
    space.wait_ready("orders")
    assert space.restarts("orders") == 0


@pytest.mark.timeout(300)
def test_grace_period_comes_from_the_pods_spec(space: Space) -> None:
    """terminationGracePeriodSeconds becomes grace_period where no setting says otherwise."""

    def unset(pod: dict[str, Any]) -> None:
        pod["spec"]["terminationGracePeriodSeconds"] = 17
        env = pod["spec"]["containers"][0]["env"]
        env[:] = [each for each in env if each["name"] != "LIFECYCLE_GRACE_PERIOD"]

    registering.create(space, change=unset)
    space.wait_ready("orders")

    told = registering.ask(space.address("orders"), "/config")["grace_period"]
    assert (told["value"], told["source"]) == (17, "pod")
    assert not [each for each in space.log("orders") if each["event"] == "manifest"]


@pytest.mark.timeout(300)
def test_every_disagreement_with_the_manifest_is_told(space: Space) -> None:
    """A pod whose manifest and settings disagree starts, and its log has a sentence for each."""

    def disagree(pod: dict[str, Any]) -> None:
        pod["spec"]["terminationGracePeriodSeconds"] = 12
        container = pod["spec"]["containers"][0]
        container["ports"] = [{"containerPort": 9000}]
        container["readinessProbe"]["httpGet"]["path"] = "/live"
        container["livenessProbe"]["httpGet"]["port"] = manifests.PORT
        container["livenessProbe"]["periodSeconds"] = 300
        container["lifecycle"]["preStop"] = {"sleep": {"seconds": 1}}

    registering.create(space, change=disagree, LIFECYCLE_PROBE_TIMEOUT="1", LIFECYCLE_SETTLE="9")
    space.wait_ready("orders")

    said = [each["problem"] for each in space.log("orders") if each["event"] == "manifest"]
    for part in (
        "grace_period 15 s is longer than terminationGracePeriodSeconds 12",
        "settle 9 + quiet 0.5 + stop_timeout 2 + 2 is longer than terminationGracePeriodSeconds 12",
        "the readinessProbe uses /live instead of /ready",
        "the livenessProbe uses port 8080, but the QOS port is 22222",
        "the startupProbe's timeoutSeconds 1 is not above probe_timeout 1",
        "preStop sleeps and does not start the drain",
        "service orders has port 8080, but the containers declare 9000",
    ):
        assert any(part in each for each in said), part


START = """
import os, shutil, sys
shutil.copytree("/var/run/secrets/kubernetes.io/serviceaccount", "/state/account", dirs_exist_ok=True)
open("/state/account/token", "w").write(os.environ["TOKEN"])
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.timeout(300)
def test_a_token_that_was_taken_back_is_told_and_the_next_one_used(space: Space) -> None:
    """With its token refused a registration says `unauthorized`; the file's next token heals it."""
    first = ""

    def bring_a_token(pod: dict[str, Any]) -> None:
        nonlocal first
        first = accounts.token(space, "first", "orders")
        container = pod["spec"]["containers"][0]
        container["command"] = ["python3", "-c", START, *registering.RUN]
        container["env"].append({"name": "TOKEN", "value": first})

    registering.create(space, change=bring_a_token, LIFECYCLE_KUBERNETES_ACCOUNT="/state/account")
    space.wait_ready("orders")
    address = space.address("orders")
    second = accounts.token(space, "second", "orders")
    accounts.take_back(space, "first", first)

    space.run("orders", "lifecycle", "offline")
    space.wait(
        lambda: "unauthorized: " in registering.registration(address)["reason"],
        "it is told",
        about="orders",
    )
    write = f"open('/state/account/token', 'w').write('{second}')"
    space.run("orders", "python3", "-c", write)
    space.wait(lambda: registering.seen(space) == ("False", ""), "it is out", about="orders")
    space.run("orders", "lifecycle", "online")
    space.wait_ready("orders")
    assert space.restarts("orders") == 0

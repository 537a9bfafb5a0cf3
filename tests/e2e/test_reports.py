"""What a real pod reports: the annotation in every state, and the Events that `kubectl` describes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import pytest
from lightkube.resources.core_v1 import Event, Pod

from lifecycle.manifests.names import RULES
from tests.cluster.fixtures import Target
from tests.e2e import registering
from tests.e2e.generated import APP, Kubectl, written
from tests.e2e.kit import LATEST, Departure, Space
from tests.process.kit import background

STATUS = "pod-lifecycle.dev/status"
QUICK = ["--env=LIFECYCLE_SETTLE=1", "--env=LIFECYCLE_GRACE_PERIOD=8"]
"""A drain that is over soon, and has time for work in flight."""
WORK = ("lifecycle", "run", "reporting:main")


def status(space: Space, pod: str) -> dict[str, Any]:
    """Return the annotation of a pod; empty if it has none."""
    return _status(space.client.get(Pod, pod))


def _status(pod: Pod) -> dict[str, Any]:
    text = ((pod.metadata and pod.metadata.annotations) or {}).get(STATUS)
    return json.loads(text) if text else {}


def wait_state(space: Space, pod: str, state: str) -> dict[str, Any]:
    """Return the annotation once it has a state."""
    space.wait(lambda: status(space, pod).get("state") == state, f"{state} is told", about=pod)
    return status(space, pod)


def follow(space: Space, pod: str) -> Future[list[dict[str, Any]]]:
    """Collect every value of the annotation, until the pod is gone."""

    def collect() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for change, each in space.client.watch(Pod, fields={"metadata.name": pod}):
            if (value := _status(each)) and value not in found[-1:]:
                found.append(value)
            if change == "DELETED":
                break
        return found

    return background(collect)


def described(kubectl: Kubectl, pod: str) -> list[tuple[str, str, str]]:
    """Return the Events of ours in `kubectl describe pod`: type, reason and message."""
    line = re.compile(r"^\s+(Normal|Warning)\s+(\w+)\s+.*\s+pod-lifecycle\s+(.+)$", re.MULTILINE)
    return line.findall(kubectl("describe", "pod", pod))


def reasons(space: Space, pod: str) -> list[str]:
    """Return the reasons of our Events about a pod, which outlive it, in the order of their names."""
    found = [each for each in space.client.list(Event) if each.involvedObject.name == pod]
    ours = [each for each in found if each.reportingComponent == "pod-lifecycle"]
    return [each.reason or "" for each in sorted(ours, key=lambda each: each.metadata.name or "")]


def pod_of(space: Space, kubectl: Kubectl, *options: str, command: Sequence[str] = APP) -> str:
    """Apply what `lifecycle manifests` writes for one replica; return the name of its pod."""
    words = ("--image", space.image, "--replicas=1", *options)
    kubectl.apply("-f", "-", stdin=written(*words, command=command))
    (pod,) = kubectl.rolled_out("orders")
    assert pod.metadata is not None
    return str(pod.metadata.name)


@pytest.mark.timeout(300)
def test_kubectl_describes_a_pod_from_its_start_to_its_end(space: Space, target: Target) -> None:
    """
    With the Role of `lifecycle manifests` and no other right: the annotation is right in each
    state, each Event comes once, and the last state is written before the pod is gone.
    """
    kubectl = Kubectl(target, space)
    pod = pod_of(space, kubectl, *QUICK)
    told = wait_state(space, pod, "ready")
    values = follow(space, pod)
    assert (told["online"], told["offline"], told["qos_port"]) == (["orders"], [], 22222)
    assert (told["settle"], told["grace"]) == (1, 8)
    now = kubectl.status(pod)
    assert told["start"] == now["start"]["seconds"]
    assert told["since"] == pytest.approx(now["since"], abs=0.001)
    space.wait(lambda: len(described(kubectl, pod)) == 2, "both Events are there", about=pod)
    assert described(kubectl, pod) == [
        ("Normal", "Registered", "Registered: orders."),
        ("Normal", "Ready", f"The app is ready after a start of {told['start']:.1f} s."),
    ]

    kubectl("exec", pod, "--", "lifecycle", "offline")
    space.wait(lambda: status(space, pod)["offline"] == ["orders"], "it is offline", about=pod)
    kubectl("exec", pod, "--", "lifecycle", "online")
    space.wait(lambda: status(space, pod)["online"] == ["orders"], "it is online", about=pod)
    space.wait(lambda: len(described(kubectl, pod)) == 4, "both are Events", about=pod)
    assert described(kubectl, pod)[2:] == [
        ("Normal", "Offline", "Offline: orders (administrator: unix socket)."),
        ("Normal", "Online", "Online again: orders."),
    ]

    departure = Departure(space, pod)
    kubectl("delete", "pod", pod, "--wait=false")
    wait_state(space, pod, "draining")
    assert ("Normal", "Draining", "The drain has started (preStop).") in described(kubectl, pod)
    assert departure.exit_code() == 0
    states = [each["state"] for each in values.result(LATEST)]
    assert [each for each in states if each != "ready"] == ["draining", "stopped"]
    assert values.result()[-1]["cause"] == "exit code 0"
    assert reasons(space, pod) == [
        "Registered",
        "Ready",
        "Offline",
        "Online",
        "Draining",
        "Drained",
    ]
    troubled = [each for each in departure.log() if each["level"] not in ("debug", "info")]
    assert {each["event"] for each in troubled} <= {"probe"}
    assert not [each for each in departure.said("kubernetes") if "events" in each]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["service", "worker"])
def test_work_that_was_cut_off_is_the_last_event_of_a_pod(
    space: Space, target: Target, kind: str
) -> None:
    """With a service every state is told; a worker without one has a smaller Role, and tells too."""
    kubectl = Kubectl(target, space)
    served = ["--service=orders:8080", "--env=EXPORTING=3"] if kind == "service" else []
    words = ("--image", space.image, "--replicas=1", *QUICK, *served)
    kubectl.apply("-f", "-", stdin=written(*words, command=WORK))
    role = json.loads(kubectl("get", "role", "orders", "-o", "json"))["rules"]
    assert [each["resources"] for each in role] == [
        ["pods"],
        ["pods/status"],
        *([["endpointslices"]] if served else []),
        ["events"],
    ]
    seen: list[str] = []

    def until_ready() -> bool:
        for each in space.client.list(Pod, labels={"app.kubernetes.io/name": "orders"}):
            seen.append(_status(each).get("state", ""))
        return seen[-1:] == ["ready"]

    space.wait(until_ready, "READY is told")
    (pod,) = kubectl.rolled_out("orders")
    name = str(pod.metadata and pod.metadata.name)
    assert [each for each in dict.fromkeys(seen) if each] == [
        "starting",
        *(["exporting"] if served else []),
        "ready",
    ]

    values, departure = follow(space, name), Departure(space, name)
    kubectl("delete", "pod", name, "--wait=false")

    assert departure.exit_code() == 124
    last = values.result(LATEST)[-1]
    assert (last["state"], last["cause"]) == ("failed", "exit code 124")
    assert last["online"] == (["orders"] if served else [])
    assert reasons(space, name) == [
        *(["Registered"] if served else []),
        "Ready",
        "Draining",
        "Drained",
        "CutOff",
    ]
    noted = dict(space.events(name))
    assert "import 7" in noted["CutOff"]
    assert "In flight at its end: 1." in noted["Drained"]


@pytest.mark.timeout(300)
def test_the_next_container_of_a_pod_replaces_what_the_last_one_told(space: Space) -> None:
    """A container dies in READY; the next one tells its own start at once."""
    registering.create(space)
    space.wait_ready("orders")
    first = wait_state(space, "orders", "ready")

    registering.tell(space.address("orders"), "die")

    space.wait(lambda: space.restarts("orders"), "it is restarted", about="orders")
    second = wait_state(space, "orders", "starting")
    assert second["since"] > first["since"]
    assert second["start"] is None
    registering.tell(registering.address(space), "go")
    assert wait_state(space, "orders", "ready")["since"] > second["since"]


@pytest.mark.timeout(300)
def test_the_role_of_an_older_manifest_is_enough(space: Space) -> None:
    """Without the right to create Events the pod is as ready as ever, and its log has the rule."""
    registering.create(space, account="default")
    older = [each for each in RULES if each["resources"] != ["events"]]
    registering.allow(space, "default", older)
    space.wait_ready("orders")
    wait_state(space, "orders", "ready")

    gone = space.delete("orders")

    assert gone.exit_code() == 0
    assert reasons(space, "orders") == []
    (said,) = (each for each in gone.said("kubernetes") if each.get("events") == "off")
    assert said["rule"] == 'apiGroups: [""], resources: ["events"], verbs: ["create"]'
    assert "forbidden" in said["reason"]
    assert "unregistered" not in gone.said("drain report")[0]

"""`lifecycle manifests` on a real cluster: what it writes is applied unchanged, runs and rolls."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from lightkube import ApiError
from lightkube.resources.core_v1 import Pod
from lightkube.resources.policy_v1 import PodDisruptionBudget

from lifecycle.manifests.names import REGISTERED
from tests.cluster.fixtures import Target
from tests.e2e import manifests
from tests.e2e.generated import APP, Kubectl, conditions, pods, written
from tests.e2e.kit import Departure, Space
from tests.e2e.test_pod import NEVER

MANAGED = ("python3", "-m", "uvicorn", "managed:app", "--host", "0.0.0.0", "--port", "8080")
VARIANTS: dict[str, tuple[Sequence[str], Sequence[str], Sequence[str]]] = {
    "exec": ([], APP, ["orders"]),
    "http": (["--prestop=http", "--guaranteed", "-o", "json"], APP, ["orders"]),
    "two services": (["--replicas=1"], (*APP, "--service", "billing"), ["orders", "billing"]),
    "managed": (["--service=orders:8080"], MANAGED, ["orders"]),
}
"""Options, the app's command, the services."""
COMPLIANT = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
CONFINED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def assert_found(space: Space, kubectl: Kubectl, found: Sequence[Pod], services: list[str]) -> None:
    """Every pod is ready by its gate, is found by consumers, and has seen that it is."""
    for held in map(conditions, found):
        assert (held["Ready"], held[REGISTERED]) == ("True", "True")
    addresses = {pod.status.podIP for pod in found}
    for service in services:
        space.wait(
            lambda service=service: (
                {address for address, is_ in space.endpoints(service).items() if is_[0]}
                == addresses
            ),
            f"{service} has the endpoints {addresses}",
        )
    for name in (each.metadata.name for each in found):
        space.wait(
            lambda name=name: (
                registrations(kubectl, name) == dict.fromkeys(services, ("yes", True))
            ),
            f"{name} is registered, and sees that it is found",
            about=name,
        )


def registrations(kubectl: Kubectl, pod: str) -> dict[str, tuple[str, bool]]:
    """Return what a pod says of its services: whether they are registered, and visible."""
    told = {each["name"]: each["registrations"] for each in kubectl.status(pod)["services"]}
    return {
        name: (each["kubernetes"]["registered"], each["kubernetes"]["visible"])
        for name, each in told.items()
    }


def assert_rolls(space: Space, kubectl: Kubectl, found: Sequence[Pod]) -> None:
    """A rolling update replaces every pod, and each leaves by itself, without a complaint."""
    leaving = [Departure(space, pod.metadata.name) for pod in found]

    kubectl("rollout", "restart", "deployment/orders")
    replaced = kubectl.rolled_out("orders")

    assert not {each.metadata.name for each in found} & {each.metadata.name for each in replaced}
    assert [each.exit_code() for each in leaving] == [0] * len(found)
    reports = [report for each in leaving for report in each.said("drain report")]
    assert len(reports) == len(found)
    assert {(each["cause"], each["code"]) for each in reports} <= {("preStop", 0)}
    troubled = {
        said["event"]
        for each in leaving
        for said in each.log()
        if said["level"] not in ("debug", "info")
    }
    assert troubled <= {"probe"}  # readiness, in the drain: no manifest, no registration
    events = space.events()
    assert not NEVER & {reason for reason, _ in events}
    assert not [text for _, text in events if "Liveness" in text]
    assert [space.restarts(each.metadata.name) for each in replaced] == [0] * len(found)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_deployment_that_is_generated_runs_and_rolls_under_restricted(
    space: Space, target: Target, variant: str
) -> None:
    """
    Applied unchanged, without a warning, it becomes ready by its own gate with its own Role;
    rolled over, each pod drains by preStop and exits with 0, and no event complains.
    """
    options, command, services = VARIANTS[variant]
    kubectl = Kubectl(target, space)

    kubectl.apply("-f", "-", stdin=written("--image", space.image, *options, command=command))

    found = kubectl.rolled_out("orders")
    assert len(found) == (1 if "--replicas=1" in options else 2)
    assert_found(space, kubectl, found, list(services))
    guarded = space.client.get(PodDisruptionBudget, "orders").status
    assert guarded is not None
    assert guarded.expectedPods == len(found)
    classes = {pod.status.qosClass for pod in found}
    assert classes == {"Guaranteed" if "--guaranteed" in options else "Burstable"}
    assert_rolls(space, kubectl, found)


@pytest.mark.timeout(300)
def test_a_job_that_is_generated_completes_under_restricted(space: Space, target: Target) -> None:
    """Applied unchanged, the Job runs once, to its end, and no event complains."""
    kubectl = Kubectl(target, space)
    command = ("lifecycle", "run", "batch_job:main")
    options = ("--image", space.image, "--profile=job", "--env", "ROWS=20")

    kubectl.apply("-f", "-", stdin=written(*options, name="report", command=command))

    kubectl("wait", "--for=condition=complete", "job/report", "--timeout=90s")
    (pod,) = pods(space, "report")
    (ended,) = pod.status.containerStatuses
    assert ended.state.terminated.exitCode == 0
    assert ended.restartCount == 0
    assert "checkpoint: 20 of 20 rows" in kubectl("logs", "job/report")
    assert not NEVER & {reason for reason, _ in space.events()}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("profile", ["sidecar-istio", "job-istio"])
@pytest.mark.parametrize("prestop", ["exec", "http"])
def test_a_profile_for_a_mesh_is_accepted(
    space: Space, target: Target, profile: str, prestop: str
) -> None:
    """The API server takes what a profile for Istio writes, without a warning."""
    options = ("--image", space.image, f"--profile={profile}", f"--prestop={prestop}")
    command = ("lifecycle", "run", "batch_job:main") if profile == "job-istio" else APP

    made = written(*options, "--guaranteed", command=command)

    Kubectl(target, space).apply("--dry-run=server", "-f", "-", stdin=made)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("user", ["its own", "ours"])
def test_a_component_is_put_onto_a_deployment_that_is_there(
    space: Space, target: Target, tmp_path: Path, user: str
) -> None:
    """
    A Deployment as people write it gets gate, probes, preStop and rights by `kubectl apply -k`,
    and keeps its labels, Service, replicas and user; `--user` gives it a restricted one.
    """
    kubectl = Kubectl(target, space)
    (tmp_path / "orders.yaml").write_text(json.dumps(theirs(space.image, secure=user != "ours")))
    (tmp_path / "kustomization.yaml").write_text(
        "resources: [orders.yaml]\ncomponents: [components/lifecycle]\n"
    )
    options = ["--service=orders:8080", *(["--user=10002"] if user == "ours" else [])]
    written(*options, "-o", "kustomize", "--to", str(tmp_path / "components/lifecycle"), command=())

    kubectl.apply("-k", str(tmp_path))

    kubectl("rollout", "status", "deployment/orders", "--timeout=90s")
    (pod,) = space.client.list(Pod, labels={"app": "orders"})
    (app,) = pod.spec.containers
    assert app.lifecycle.preStop.sleep is None
    assert [port.name for port in app.ports] == ["qos", "http"]
    assert kubectl(
        "exec", pod.metadata.name, "--", "python3", "-c", "import os; print(os.getuid())"
    ) == ("10002\n" if user == "ours" else "10001\n")
    assert_found(space, kubectl, [pod], ["orders"])
    guarded = space.client.get(PodDisruptionBudget, "orders").status
    assert guarded is not None
    assert guarded.expectedPods == 1


def theirs(image: str, *, secure: bool) -> dict[str, object]:
    """Return a Deployment and its Service without a word of ours."""
    labels = {"app": "orders"}
    container = {
        "name": "orders",
        "image": image,
        "command": ["lifecycle", "run", "--asgi", "orders:app"],
        "ports": [{"name": "http", "containerPort": 8080}],
        "livenessProbe": {"httpGet": {"path": "/", "port": "http"}},
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        **({"securityContext": CONFINED} if secure else {}),
    }
    pod = {"containers": [container], **({"securityContext": COMPLIANT} if secure else {})}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "orders"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "orders"},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": "http"}]},
    }
    return {"apiVersion": "v1", "kind": "List", "items": [deployment, service]}


@pytest.mark.timeout(300)
def test_what_is_not_restricted_is_refused_there(space: Space, target: Target) -> None:
    """The namespaces of the tests above do enforce: a pod without the context is refused."""
    Kubectl(target, space)

    with pytest.raises(ApiError, match="violates PodSecurity"):
        space.create(manifests.pod("plain", space.image, APP))

"""
The files of examples/kubernetes on a real cluster, as a reader copies them.

Their Dockerfile makes the image. Each file is applied as it is, where `restricted` is enforced, and
becomes ready. What serves is rolled over under load, and loses nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightkube.resources.core_v1 import Pod, Service
from redis import Redis
from redis.exceptions import ConnectionError as NotUp

from lifecycle.testing.environment import handed_on
from tests.cluster.build import helm
from tests.cluster.cluster import Cluster
from tests.cluster.fixtures import Target
from tests.e2e import copied_files
from tests.e2e.copied_files import FILES
from tests.e2e.generated import Kubectl, pods
from tests.e2e.grpc_load import GrpcLoad
from tests.e2e.kit import LATEST, Space, paced
from tests.e2e.rolling import assert_lossless, rolled
from tests.e2e.rollout import Fleet
from tests.e2e.rollout_table import ROWS
from tests.e2e.test_pod import NEVER
from tests.process.kit import background, cli, wait_for

pytestmark = [pytest.mark.timeout(400), pytest.mark.usefixtures("copied")]

IMAGE = "registry.example/orders:1.0"
WHO = "import os; print(os.getuid(), open('/proc/1/cmdline').read().split('\\0')[1:3])"
SECONDS = 0.2
"""How long a message takes."""

Record = Callable[[str, object], None]


@pytest.fixture
def kubectl(target: Target, space: Space) -> Kubectl:
    """kubectl in the namespace, which enforces `restricted`."""
    return Kubectl(target, space)


@pytest.fixture
def redis(copied: Cluster) -> Iterator[Redis]:
    """A Redis server on the node."""
    address = copied.machine.address
    words = ("--bind", address, "--protected-mode", "no", "--save", "", "--dir", "/tmp")
    copied.machine.start("redis-server", ["redis-server", *words])
    try:
        with Redis(host=address, decode_responses=True) as client:
            wait_for(lambda: paced(lambda: _up(client)), LATEST, "Redis answers")
            yield client
    finally:
        copied.machine.kill("redis-server")


def _up(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except NotUp:
        return False


def test_the_image_runs_the_command_of_the_dockerfile(space: Space) -> None:
    """Without a manifest's command, `lifecycle` is PID 1, not root, and drained by SIGTERM alone."""
    space.create(copied_files.pod(IMAGE))
    space.wait_ready("orders")

    who = space.run("orders", "python3", "-c", WHO)
    gone = space.delete("orders")

    assert who == "10001 ['/usr/local/bin/lifecycle', 'run']\n"
    (report,) = gone.said("drain report")
    assert (report["cause"], report["code"], gone.exit_code()) == ("SIGTERM", 0, 0)
    assert not NEVER & {reason for reason, _ in space.events("orders")}


@pytest.mark.parametrize(("name", "app"), [("fastapi", "orders"), ("django", "shop")])
def test_a_server_is_rolled_and_loses_nothing(
    space: Space, kubectl: Kubectl, name: str, app: str, record_property: Record
) -> None:
    """Deployment, Service and PodDisruptionBudget, applied unchanged: no request is lost."""
    kubectl.apply("-f", str(FILES / f"{name}.yaml"))

    result = rolled(f"{name}.yaml", space, app, 1)

    record_property(ROWS, result.rows())
    assert_lossless(result)
    assert {tally.lost(kept=True) for tally in result.tallies.values()} == {0}


def test_a_grpc_server_is_rolled_and_loses_nothing(
    space: Space, kubectl: Kubectl, record_property: Record
) -> None:
    """Clients that call the ClusterIP, on channels kept and new, and repeat nothing: none fails."""
    kubectl.apply("-f", str(FILES / "grpc.yaml"))
    fleet = Fleet(space, "orders")
    spec = space.client.get(Service, "orders").spec
    assert spec is not None

    with GrpcLoad(f"{spec.clusterIP}:8080", LATEST) as load:
        seconds = fleet.roll()
        calls = load.end()

    record_property(ROWS, [calls.row("grpc.yaml", seconds)])
    assert not calls.lost
    assert calls.made > 500
    for pod in fleet.end():
        pod.assert_drained_by_prestop()
        assert pod.ends == {(0, "Completed")}
    assert not NEVER & {reason for reason, _ in space.events()}


def test_a_worker_is_rolled_and_does_each_message_once(
    space: Space, kubectl: Kubectl, redis: Redis, copied: Cluster
) -> None:
    """Two workers are replaced while messages come: none is lost, none is done twice."""
    url = f"redis://{copied.machine.address}:6379"
    text = (FILES / "worker.yaml").read_text()
    assert text.count("value: redis://redis:6379\n") == 1
    kubectl.apply("-f", "-", stdin=text.replace("value: redis://redis:6379", f"value: {url}"))
    fleet = Fleet(space, "worker")
    over = threading.Event()
    producing = background(lambda: _produce(redis, over))

    fleet.roll()

    over.set()
    produced = producing.result(LATEST)
    space.wait(lambda: redis.hlen("done") == produced, f"all {produced} messages are done")
    assert set(redis.hvals("done")) == {"1"}
    assert redis.xpending("orders", "workers")["pending"] == 0
    asked = {each["name"] for each in redis.xinfo_consumers("orders", "workers")}
    assert asked == set(fleet.seen), "old workers and new ones have taken messages"
    for pod in fleet.end():
        pod.assert_drained_by_prestop()
        assert pod.ends == {(0, "Completed")}
    assert not NEVER & {reason for reason, _ in space.events()}


def _produce(redis: Redis, over: threading.Event) -> int:
    """Add messages until it is over, about as many as two workers can do; return how many."""
    number = 0
    while not over.wait(SECONDS / 2):
        redis.xadd("orders", {"number": number, "seconds": SECONDS})
        number += 1
    return number


def test_a_job_and_the_job_of_a_cronjob_complete(space: Space, kubectl: Kubectl) -> None:
    """The Job runs to its end, and so does one that is made of the CronJob; both run once."""
    for name in ("job", "cronjob"):
        kubectl.apply("-f", str(FILES / f"{name}.yaml"))
    kubectl("create", "job", "report-now", "--from=cronjob/report")

    for job in ("report", "report-now"):
        kubectl("wait", "--for=condition=complete", f"job/{job}", f"--timeout={LATEST:g}s")
        assert "checkpoint: 100 of 100 rows" in kubectl("logs", f"job/{job}")
    ended = [status for pod in pods(space, "report") for status in pod.status.containerStatuses]
    assert [each.state.terminated.exitCode for each in ended] == [0, 0]
    assert not NEVER & {reason for reason, _ in space.events()}


def test_the_smallest_change_is_put_onto_a_deployment_that_is_there(
    space: Space, kubectl: Kubectl, tmp_path: Path, record_property: Record
) -> None:
    """
    `kubectl patch` gives uvicorn's own Deployment our probes, preStop and command, and nothing of
    its own probes is left. kustomize makes the same of it. Rolled over then, it loses nothing.
    """
    theirs = copied_files.theirs(IMAGE)
    kubectl.apply("-f", "-", stdin=json.dumps(theirs))
    space.wait(lambda: kubectl("get", "pods", "-o", "name"), "uvicorn's own pods are made")

    kubectl("patch", "deployment", "orders", "--patch-file", str(FILES / "patch.yaml"))

    applied = json.loads(kubectl("get", "deployment/orders", "-o", "json"))
    built = kustomized(kubectl, theirs["items"][0], tmp_path)
    assert essence(applied) == essence(built)
    assert_nothing_found(tmp_path, json.dumps(built))
    kubectl("rollout", "status", "deployment/orders", f"--timeout={LATEST:g}s")
    space.wait(lambda: _old_are_gone(space), "the pods without us are gone")
    result = rolled("patch.yaml", space, "orders", 1)
    record_property(ROWS, result.rows())
    assert_lossless(result)


def test_the_smallest_change_needs_no_probe_that_is_there(kubectl: Kubectl, tmp_path: Path) -> None:
    """A Deployment without probes, hooks and ports gets the same by kubectl and kustomize."""
    bare = copied_files.theirs(IMAGE)["items"][0]
    (container,) = bare["spec"]["template"]["spec"]["containers"]
    for field in ("readinessProbe", "livenessProbe", "lifecycle", "ports", "args"):
        del container[field]

    built = kustomized(kubectl, bare, tmp_path)

    file = tmp_path / "theirs.yaml"
    patch = ("patch", "--local", "-f", str(file), "--patch-file", str(FILES / "patch.yaml"))
    assert json.loads(kubectl(*patch, "-o", "json")) == built
    assert_nothing_found(tmp_path, json.dumps(built))


def kustomized(kubectl: Kubectl, theirs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return what kustomize makes of a Deployment and the patch."""
    (folder / "theirs.yaml").write_text(json.dumps(theirs))
    (folder / "patch.yaml").write_text((FILES / "patch.yaml").read_text())
    (folder / "kustomization.yaml").write_text(
        "resources: [theirs.yaml]\npatches: [{path: patch.yaml}]\n"
    )
    return dict(yaml.safe_load(kubectl("kustomize", str(folder))))


def essence(deployment: dict[str, Any]) -> dict[str, Any]:
    """Return what the patch is about: of the container, without the API server's defaults."""
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    probes = ("startupProbe", "readinessProbe", "livenessProbe")
    defaults = {"successThreshold": 1, "initialDelaySeconds": 0}
    return {
        "grace": pod["terminationGracePeriodSeconds"],
        "command": (container["command"], container.get("args")),
        "ports": {each["name"]: each["containerPort"] for each in container["ports"]},
        "lifecycle": container["lifecycle"],
        **{each: defaults | container[each] for each in probes},
    }


def _old_are_gone(space: Space) -> bool:
    return all(each.spec.containers[0].startupProbe for each in space.client.list(Pod))


def test_a_chart_of_helm_is_installed_and_loses_nothing(
    space: Space, kubectl: Kubectl, target: Target, tmp_path: Path, record_property: Record
) -> None:
    """The chart of `helm create`, with our diff and values, is installed and rolled over."""
    chart = tmp_path / "orders"
    values = ("orders", str(chart), "--values", str(FILES / "helm" / "values.yaml"))
    _run([str(helm()), "create", str(chart)], tmp_path)
    _run(["git", "apply", str(FILES / "helm" / "deployment.diff")], chart)

    rendered = _run([str(helm()), "template", *values, "--skip-tests"], tmp_path)
    where = ("--kubeconfig", str(target.kubeconfig), "--namespace", space.name)
    _run([str(helm()), "install", *values, *where], tmp_path)

    assert_nothing_found(tmp_path, rendered)
    result = rolled("helm", space, "orders", 1)
    record_property(ROWS, result.rows())
    assert_lossless(result)


def assert_nothing_found(folder: Path, manifest: str) -> None:
    """`lifecycle check` has no finding in a manifest."""
    file = folder / "manifest.yaml"
    file.write_text(manifest)
    done = cli("check", str(file), env=handed_on())
    assert done.stdout.startswith("nothing found in 1 workload\n"), done.stdout


def _run(argv: list[str], folder: Path) -> str:
    env = os.environ | {"HOME": str(folder)}
    done: subprocess.CompletedProcess[Any] = subprocess.run(
        argv, cwd=folder, env=env, check=False, capture_output=True, text=True, timeout=LATEST
    )
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return str(done.stdout)

"""`kubectl lifecycle why` is right about Deployments that are broken in many ways on a real cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
import yaml
from lifecycle_fleet.why import rights
from lifecycle_fleet.why.rights import Right
from lightkube.resources.core_v1 import Node, Pod
from lightkube.resources.rbac_authorization_v1 import ClusterRole, ClusterRoleBinding

from tests.cluster.fixtures import Target
from tests.e2e import accounts, broken, kit
from tests.e2e.kit import LATEST, Space, paced
from tests.process.kit import background, wait_for

PROGRAM: Final = Path(sys.executable).with_name("kubectl-lifecycle")
LAST: Final = ("budget", "finalizer", "flight")
"""Ways that need a ready pod, and that do something to it."""


class Shop:
    """The namespace with all broken Deployments, and one that is not broken."""

    def __init__(self, target: Target, space: Space) -> None:
        self.space = space
        self._target = target
        self._requests: list[Future[Any]] = []
        self._roles: list[str] = []

    def why(self, name: str, *options: str) -> tuple[int, dict[str, Any]]:
        """Return the exit code and the answer of the program."""
        code, out = self.run(name, "-o", "json", *options)
        found: dict[str, Any] = json.loads(out)
        return code, found

    def run(self, *words: str, kubeconfig: Path | None = None) -> tuple[int, str]:
        """Run the program, by default as the administrator of the cluster."""
        file = kubeconfig or self._target.kubeconfig
        cluster = ("--kubeconfig", str(file), "-n", self.space.name)
        done = subprocess.run(
            [PROGRAM, "why", *words, *cluster],
            check=False,
            capture_output=True,
            text=True,
            timeout=LATEST,
        )
        assert done.returncode in (0, 1), done.stderr
        return done.returncode, done.stdout

    def person(self, name: str, allowed: Iterable[Right], folder: Path) -> Path:
        """Make an account with these rights and no others, and return its kubeconfig."""
        api = "rbac.authorization.k8s.io"
        who = {"kind": "ServiceAccount", "name": name, "namespace": self.space.name}
        self.space.create({"apiVersion": "v1", "kind": who["kind"], "metadata": {"name": name}})
        for scope, kind in ((False, "Role"), (True, "ClusterRole")):
            role = f"{self.space.name}-{name}"
            rules = [
                {"apiGroups": [each.group], "resources": [each.resource], "verbs": [*each.verbs]}
                for each in allowed
                if each.cluster is scope
            ]
            metadata = {"apiVersion": f"{api}/v1", "metadata": {"name": role}}
            self.space.create({"kind": kind, "rules": rules, **metadata})
            reference = {"apiGroup": api, "kind": kind, "name": role}
            binding = {"roleRef": reference, "subjects": [who], **metadata}
            self.space.create({"kind": f"{kind}Binding", **binding})
        config = yaml.safe_load(self._target.kubeconfig.read_text())
        token = accounts.token(self.space, f"{name}-token", name)
        config["users"] = [{**each, "user": {"token": token}} for each in config["users"]]
        (folder / name).write_text(yaml.safe_dump(config))
        self._roles.append(f"{self.space.name}-{name}")
        return folder / name

    def close(self) -> None:
        """Remove the objects that do not go with the namespace."""
        for each in self._roles:
            self.space.client.delete(ClusterRoleBinding, each)
            self.space.client.delete(ClusterRole, each)

    def kubectl(self, *words: str) -> str:
        """Run kubectl, and return what it has written to both streams."""
        argv = [*self._target.kubectl(self.space.name), *words]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=LATEST)
        return done.stdout + done.stderr

    def pod(self, name: str) -> str:
        """Return the name of the newest pod of a Deployment, once there is one."""

        def newest() -> str:
            found = self.space.client.list(Pod, labels={"app.kubernetes.io/name": name})
            names = [each.metadata.name for each in found if each.metadata]
            return str(names[-1]) if names else ""

        return wait_for(lambda: paced(newest), LATEST, f"{name} has a pod")

    def request(self, pod: str, path: str) -> None:
        """Begin a request to a pod, which is not waited for."""
        url = f"http://{self.space.address(pod)}:{broken.PORT}{path}"

        def ask() -> object:
            try:
                return httpx2.get(url, timeout=100).status_code
            except httpx2.HTTPError as error:
                return error

        self._requests.append(background(ask))

    def explained(self, target: str, rule: str) -> tuple[int, dict[str, Any]]:
        """Return the answer once its first finding is of a rule, or the last one after a while."""
        last: list[tuple[int, dict[str, Any]]] = []

        def is_found() -> bool:
            last.append(self.why(target))
            findings = last[-1][1]["findings"]
            return bool(findings) and findings[0]["rule"] == rule

        wait_for(lambda: paced(is_found), 2 * LATEST, lambda: json.dumps(last[-1], indent=1) + rule)
        return last[-1]


def missing(found: dict[str, Any]) -> list[str]:
    """Return what a person may not read."""
    said = [str(each["sentence"]) for each in found["caveats"]]
    return [each for each in said if each.startswith("You may not read")]


@pytest.fixture(scope="module")
def shop(target: Target) -> Iterator[Shop]:
    """All Deployments side by side, because each of them needs a while to be broken."""
    with kit.namespace(target) as space:
        space.files("troubled", broken.APP)
        broken.create(space, "healthy", lambda _: None)
        for name, way in broken.WAYS.items():
            broken.create(space, name, way.change)
        made = Shop(target, space)
        yield made
        made.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [each for each in broken.WAYS if each not in LAST])
def test_a_broken_deployment_is_explained(shop: Shop, name: str) -> None:
    """The pod and its Deployment have the finding of this way first, and no other one."""
    way = broken.WAYS[name]
    pod = shop.pod(name)
    if way.url or way.command:
        shop.space.wait_ready(pod)
    if way.url:
        shop.request(pod, way.url)
    if way.command:
        shop.space.run(pod, *way.command)

    code, found = shop.explained(pod, way.rule)
    print("\n" + shop.run(pod)[1])

    wrong = [each for each in found["findings"] if not each["note"]]
    assert [each["rule"] for each in wrong] == [way.rule]
    assert way.says in wrong[0]["sentence"]
    assert code == 1
    assert missing(found) == []
    _, of_all = shop.explained(f"deploy/{name}", way.rule)
    assert of_all["findings"][0]["pods"] == [pod]


@pytest.mark.timeout(600)
def test_a_healthy_deployment_has_no_finding(shop: Shop) -> None:
    """Its pod is ready and found by clients, and nothing is said but that."""
    pod = shop.pod("healthy")
    shop.space.wait_ready(pod)
    wait_for(lambda: paced(lambda: shop.why(pod)[0] == 0), LATEST, "nothing is wrong")

    assert shop.run(pod) == (0, f"pod/{pod} is ready, and clients find it.\n")
    code, out = shop.run("deploy/healthy")
    said = "The rollout of deploy/healthy is complete. 1 pod is available, and clients find it."
    assert (code, " ".join(out.split())) == (0, said)


@pytest.mark.timeout(600)
def test_no_right_but_the_documented_ones_is_needed(shop: Shop, tmp_path: Path) -> None:
    """With exactly these rights nothing is missing, and without the optional ones the rest stays."""
    full = shop.person("full", rights.ALL, tmp_path)
    poor = shop.person("poor", (rights.PODS, rights.EVENTS), tmp_path)
    pod = shop.pod("port")
    shop.explained(pod, "probe-port")

    for target in (pod, "deploy/port"):
        code, out = shop.run(target, "-o", "json", kubeconfig=full)
        found = json.loads(out)
        assert (code, found["findings"][0]["rule"]) == (1, "probe-port")
        assert missing(found) == []
    code, out = shop.run(pod, "-o", "json", kubeconfig=poor)
    found = json.loads(out)
    assert (code, found["findings"][0]["rule"]) == (1, "probe-port")
    assert len(missing(found)) == 5


@pytest.mark.timeout(600)
def test_a_foreign_pod_is_explained(shop: Shop) -> None:
    """A pod without pod-lifecycle that listens on 127.0.0.1 only, and one that is well."""
    server = "import http.server as h; h.HTTPServer(('{}', 8080), h.SimpleHTTPRequestHandler)"
    for name, host in (("foreign", "0.0.0.0"), ("lonely", "127.0.0.1")):
        container = {
            "name": "web",
            "image": shop.space.image,
            "command": ["python3", "-c", f"{server.format(host)}.serve_forever()"],
            "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
        }
        shop.space.create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
            }
        )
    shop.space.wait_ready("foreign")

    _, found = shop.explained("lonely", "probe-port")

    assert "listens on this port only on 127.0.0.1" in found["findings"][0]["sentence"]
    assert shop.run("foreign") == (0, "pod/foreign is ready. No Service has it as an endpoint.\n")


@pytest.mark.timeout(600)
def test_work_in_flight_keeps_a_pod(shop: Shop) -> None:
    """A deleted pod names the request that it still serves."""
    way = broken.WAYS["flight"]
    pod = shop.pod("flight")
    shop.space.wait_ready(pod)
    shop.request(pod, way.url)
    shop.space.wait(
        lambda: "/export" in shop.space.run(pod, "lifecycle", "inflight"), "it is served", about=pod
    )
    shop.space.client.delete(Pod, pod)

    code, found = shop.explained(pod, way.rule)
    print("\n" + shop.run(pod)[1])

    assert (code, found["state"]) == (1, "terminating")
    assert way.says in found["findings"][0]["sentence"]
    assert [each["note"] for each in found["findings"]] == [True]


@pytest.mark.timeout(600)
def test_a_finalizer_keeps_a_pod(shop: Shop) -> None:
    """Once its containers have ended, the finalizer is what keeps a deleted pod."""
    way = broken.WAYS["finalizer"]
    pod = shop.pod("finalizer")
    shop.space.wait_ready(pod)
    shop.space.client.delete(Pod, pod)
    try:
        code, found = shop.explained(pod, way.rule)
        print("\n" + shop.run(pod)[1])
    finally:
        for each in shop.space.client.list(Pod, labels={"app.kubernetes.io/name": "finalizer"}):
            assert each.metadata is not None
            shop.space.client.patch(
                Pod, str(each.metadata.name), {"metadata": {"finalizers": None}}
            )

    assert code == 1
    assert [each["rule"] for each in found["findings"]] == [way.rule]
    assert way.says in found["findings"][0]["sentence"]


@pytest.mark.timeout(600)
def test_a_budget_keeps_a_node_from_being_drained(shop: Shop) -> None:
    """What kubectl says of the eviction is what is found."""
    way = broken.WAYS["budget"]
    pod = shop.pod("budget")
    shop.space.wait_ready(pod)
    spec = shop.space.client.get(Pod, pod).spec
    assert spec is not None
    node = str(spec.nodeName)
    try:
        said = shop.kubectl(
            *("drain", node, "--pod-selector", "app.kubernetes.io/name=budget"),
            *("--delete-emptydir-data", "--timeout=8s"),
        )
        assert "would violate the pod's disruption budget" in said
        code, found = shop.explained(pod, way.rule)
        print("\n" + shop.run(pod)[1])
    finally:
        shop.space.client.patch(Node, node, {"spec": {"unschedulable": None}})

    assert code == 1
    assert [each["rule"] for each in found["findings"]] == [way.rule]
    assert way.says in found["findings"][0]["sentence"]

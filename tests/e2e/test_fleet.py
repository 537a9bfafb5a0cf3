"""`lifecycle fleet` on a real cluster, as a person with exactly the Role of docs/fleet.md."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from lifecycle_fleet.cluster.api import Ran, connected
from lightkube import KubeConfig

from lifecycle.manifests.objects import LABEL
from lifecycle.testing.environment import handed_on
from tests.cluster.fixtures import Target
from tests.docs.pages import ROOT
from tests.e2e import accounts, kit, registering
from tests.e2e.generated import Kubectl, written
from tests.e2e.kit import LATEST, Space
from tests.e2e.service_load import ServiceLoad

PROGRAM = Path(sys.executable).with_name("kubectl-lifecycle")
SILENT = 50
"""Seconds: more than two pings of the client."""
QUICK = ("--env=LIFECYCLE_SETTLE=2", "--env=LIFECYCLE_GRACE_PERIOD=10")


class Person:
    """
    Somebody with an account in a namespace.

    Args:
        target: The cluster.
        space: The namespace.
        name: The name of the account.
        rules: What the account may do.
        folder: A folder for the kubeconfig.
    """

    def __init__(
        self,
        target: Target,
        space: Space,
        name: str,
        rules: Sequence[Mapping[str, Any]],
        folder: Path,
    ) -> None:
        self._space = space
        metadata = {"name": name}
        space.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        role = {"apiGroup": registering.RBAC, "kind": "Role", "name": name}
        who = {"kind": "ServiceAccount", "name": name, "namespace": space.name}
        api = {"apiVersion": f"{registering.RBAC}/v1", "metadata": metadata}
        space.create({**api, "kind": "Role", "rules": [*rules]})
        space.create({**api, "kind": "RoleBinding", "roleRef": role, "subjects": [who]})
        token = accounts.token(space, f"{name}-token", name)
        self.kubeconfig = folder / name
        self.kubeconfig.write_text(yaml.safe_dump(_config(target, space, token)))

    def run(self, *words: str, code: int = 0) -> str:
        """Run the program, and return all that it has written."""
        done = subprocess.run(
            [PROGRAM, *words],
            env=handed_on() | {"KUBECONFIG": str(self.kubeconfig)},
            check=False,
            capture_output=True,
            text=True,
            timeout=2 * LATEST,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def pods(self, *words: str) -> dict[str, dict[str, Any]]:
        """Return the pods of `ls` by their names."""
        found = json.loads(self.run("ls", "-o", "json", *words))
        return {each["name"]: each for each in found["pods"]}

    def wait(self, pod: str, what: str, **values: object) -> None:
        """Return when `ls` shows these values of a pod."""

        def shown() -> bool:
            found = self.pods().get(pod, {})
            return {name: found.get(name) for name in values} == values

        self._space.wait(shown, what, about=pod)


def _config(target: Target, space: Space, token: str) -> dict[str, Any]:
    found = KubeConfig.from_file(target.kubeconfig).get()
    assert found is not None
    cluster = {
        "server": found.cluster.server,
        "certificate-authority": found.cluster.certificate_auth,
        "certificate-authority-data": found.cluster.certificate_auth_data,
    }
    context = {"cluster": "e2e", "user": "person", "namespace": space.name}
    return {
        "current-context": "e2e",
        "clusters": [{"name": "e2e", "cluster": {k: v for k, v in cluster.items() if v}}],
        "contexts": [{"name": "e2e", "context": context}],
        "users": [{"name": "person", "user": {"token": token}}],
    }


def rules() -> list[dict[str, Any]]:
    """Return the rules of the Role that the page shows."""
    page = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    found: list[dict[str, Any]] = yaml.safe_load(text)["rules"]
    return found


class Shop:
    """A namespace with a Deployment of two pods, a foreign pod, and a person."""

    def __init__(self, target: Target, space: Space, folder: Path) -> None:
        self.space = space
        self.kubectl = Kubectl(target, space)
        self.person = Person(target, space, "person", rules(), folder)
        self.looker = Person(target, space, "looker", rules()[:-1], folder)
        self.nobody = Person(target, space, "nobody", [], folder)
        options = ("--image", space.image, "--replicas=2", *QUICK)
        self.kubectl.apply("-f", "-", stdin=written(*options))
        self.kubectl.rolled_out("orders")
        self.one, self.other = sorted(self.person.pods("-l", f"{LABEL}=orders"))


@pytest.fixture(scope="module")
def shop(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with ExitStack() as stack:
        space = stack.enter_context(kit.namespace(target))
        yield Shop(target, space, tmp_path_factory.mktemp("fleet"))


pytestmark = pytest.mark.timeout(300)


def test_the_list(shop: Shop) -> None:
    """A person with the Role of the page sees the state of each pod, and no ? and no problem."""
    for each in (shop.one, shop.other):
        shop.person.wait(each, "it is ready and found", state="ready", in_slices="yes", ready=True)
    found = shop.person.pods()[shop.one]
    shown = shop.person.run("ls", "-o", "wide")
    print(shown)
    print(shop.person.run("ls"))

    assert found["workload"] == "deploy/orders"
    assert found["told"]["online"] == ["orders"]
    assert found["told"]["settle"] == 2
    assert found["problem"] == ""
    assert "?" not in shown
    assert len(shown.splitlines()) == 3


def test_a_foreign_pod_is_shown_with_all(shop: Shop) -> None:
    """It does not run pod-lifecycle, so only --all has it."""
    shop.space.create(_foreign(shop.space.image))
    shop.space.wait_ready("foreign")

    assert "foreign" not in shop.person.pods()
    assert "foreign" in shop.person.pods("--all")


def _foreign(image: str) -> dict[str, Any]:
    restricted = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "name": "app",
        "image": image,
        "command": ["/usr/local/bin/python3", "-c", "import time; time.sleep(600)"],
        "env": [{"name": "PATH", "value": "/nowhere"}],
        "securityContext": restricted,
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "foreign"}, "spec": spec}


def test_one_pod_is_asked(shop: Shop) -> None:
    """The kubelet runs the command, and the answer is that of the app."""
    shown = shop.person.run("status", shop.one)
    print(shown)

    assert shown.startswith("READY for ")
    assert "lifecycle: this is pod/" in shop.person.run("status", "deploy/orders")
    assert json.loads(shop.person.run("status", shop.one, "--json"))["state"] == "ready"
    assert "in flight" in shop.person.run("inflight", shop.one, "--stacks")


def test_a_pod_leaves_traffic_and_comes_back(shop: Shop) -> None:
    """The list follows, and the last pod is protected meanwhile."""
    print(shop.person.run("offline", shop.one, "--wait"))
    shop.person.wait(shop.one, "it is not found", in_slices="no", kind="offline")
    for words in (["offline", shop.other], ["maintain", shop.other, "--for", "1"]):
        refused = shop.person.run(*words, code=1)
        assert f"without {shop.other}, the Service orders would have no ready pod left" in refused
    shop.person.run("online", shop.one)
    shop.person.wait(shop.one, "it is found", in_slices="yes", kind="ready")


def test_maintenance_under_load_loses_nothing(shop: Shop) -> None:
    """Clients on new and on kept connections go to the other pod, and come back."""
    with ServiceLoad(shop.space, "orders") as load:
        for each in (shop.one, shop.other):
            shown = shop.person.run("maintain", each, "--for", "3")
            print(shown)
            assert "no client is served" in shown
            shop.person.wait(each, "it is found", in_slices="yes", kind="ready")
        load.check()
        tallies = load.end()
    for name, tally in tallies.items():
        print(name, tally)
        assert tally.requests > 0
        assert not tally.losses, name


def test_rights_that_are_missing(shop: Shop) -> None:
    """Somebody who may only look can list. The message names the right that is missing."""
    assert shop.one in shop.looker.run("ls")
    refused = shop.looker.run("status", shop.one, code=1)
    assert "Your role needs the verbs get and create for pods/exec" in refused
    assert 'cannot list resource "pods"' in shop.nobody.run("ls", code=1)


def test_names_that_do_not_exist(shop: Shop) -> None:
    """A pod, a container and a command."""
    assert "Did you mean" in shop.person.run("status", f"{shop.one[:-1]}0", code=1)
    assert "has no container 'none'" in shop.person.run("status", shop.one, "-c", "none", code=1)
    assert "there is no deploy/ordres" in shop.person.run("status", "deploy/ordres", code=1)
    refused = shop.person.run("status", "foreign", code=1)
    assert "the container app of pod/foreign has no command 'lifecycle'" in refused


def test_a_command_that_is_silent_for_long(shop: Shop) -> None:
    """The connection outlives the pings of the client, which the API server has to answer."""
    words = ["python3", "-c", f"import time; time.sleep({SILENT})"]

    async def run() -> Ran:
        async with connected(str(shop.person.kubeconfig), "") as api:
            return await api.execute(shop.space.name, shop.one, "orders", words, 2 * SILENT)

    assert asyncio.run(run()) == (0, "", "")


def test_how_the_last_drain_went(shop: Shop) -> None:
    """A container that has drained and is started again shows how it ended."""
    shop.kubectl("exec", shop.one, "--", "python3", "-c", "import os; os.kill(1, 15)")
    shop.person.wait(shop.one, "it is back", restarts=1, state="ready", in_slices="yes")

    end = shop.person.pods()[shop.one]["last_end"]
    assert (end["how"], end["exit_code"]) == ("clean", 0)
    print(shop.person.run("ls"))

"""`lifecycle fleet rollout` on a real cluster: good rollouts and bad ones, with and without a gate."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import Pod

from tests.cluster.cluster import Cluster
from tests.cluster.fixtures import Target
from tests.e2e import manifests
from tests.e2e.accounts import token
from tests.e2e.kit import LATEST, Space

NAME: Final = "shop"
PAGE: Final = Path(__file__).parents[2] / "docs" / "fleet-rollout.md"
APP: Final = Path(__file__).parent / "served" / "rolled.py"
RUN: Final = ("lifecycle", "run", "--app-dir", "/app", "rolled:main")
COMMAND: Final = (sys.executable, "-m", "lifecycle", "fleet", "rollout")
DEAF: Final = (
    "python3",
    "-c",
    "import signal,time; signal.signal(15, signal.SIG_IGN); time.sleep(999)",
)

pytestmark = pytest.mark.timeout(300)


class Shop:
    """A Deployment of three pods, whose MODE can be changed."""

    def __init__(self, target: Target, space: Space, mode: str, **container: Any) -> None:
        self._target = target
        self._space = space
        space.files(NAME, APP)
        pod = manifests.pod(NAME, space.image, RUN, env={"MODE": mode})
        pod["spec"]["containers"][0] |= container
        rolling = {"maxSurge": 1, "maxUnavailable": 0}
        space.create(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": NAME},
                "spec": {
                    "replicas": 3,
                    "selector": {"matchLabels": {"app": NAME}},
                    "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
                    "template": {"metadata": pod["metadata"], "spec": pod["spec"]},
                },
            }
        )
        space.wait(self.complete, f"{NAME} is complete")
        self.first = self.pods()

    def change(self, mode: str) -> None:
        """Change the MODE, which begins a rollout."""
        env = [{"name": "MODE", "value": mode}]
        container = {"name": "app", "env": env}
        patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
        self._space.client.patch(Deployment, NAME, patch)

    def complete(self) -> bool:
        """Tell whether all pods are of one template, and available."""
        found = self._space.client.get(Deployment, NAME)
        status = found.status
        return bool(
            status
            and (status.observedGeneration or 0) >= (found.metadata.generation or 0)
            and status.replicas == status.updatedReplicas == status.availableReplicas == 3
        )

    def paused(self) -> bool:
        """Tell whether it is paused."""
        return bool(self._space.client.get(Deployment, NAME).spec.paused)

    def pods(self) -> set[str]:
        """Return the names of the pods that nobody deletes."""
        found = self._space.client.list(Pod, labels={"app": NAME})
        return {each.metadata.name for each in found if not each.metadata.deletionTimestamp}

    def command(self, *words: str, kubeconfig: Path | None = None) -> list[str]:
        """Return the command."""
        given = kubeconfig or self._target.kubeconfig
        where = ("--kubeconfig", str(given), "-n", self._space.name)
        return [*COMMAND, f"deploy/{NAME}", *where, *words, "-o", "json"]

    def rollout(
        self, *words: str, kubeconfig: Path | None = None
    ) -> tuple[int, Mapping[str, Any], str]:
        """Run the command; return its exit code, its JSON, and its progress."""
        done = subprocess.run(
            self.command(*words, kubeconfig=kubeconfig),
            check=False,
            capture_output=True,
            text=True,
            timeout=2 * LATEST,
        )
        print(done.stderr)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout), done.stderr


def account_with_the_rights_of_the_page(target: Target, space: Space, folder: Path) -> Path:
    """Return a kubeconfig of an account that has the Role of docs/fleet-rollout.md, and no other."""
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    role = yaml.safe_load(block)
    name = role["metadata"]["name"]
    space.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
    space.create(role)
    group = "rbac.authorization.k8s.io"
    space.create(
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": space.name}],
        }
    )
    given = yaml.safe_load(target.kubeconfig.read_text())
    given["users"] = [{"name": "rollout", "user": {"token": token(space, "rollout", name)}}]
    for each in given["contexts"]:
        each["context"]["user"] = "rollout"
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(given))
    return file


def outcomes(found: Mapping[str, Any], *, new: bool) -> list[str | None]:
    """Return how the new or the old pods have left."""
    return [each["outcome"] for each in found["pods"] if each["new"] is new]


def test_a_good_rollout_is_clean(target: Target, space: Space) -> None:
    """Each old pod drains and exits with 0, and each new pod becomes ready."""
    shop = Shop(target, space, "good")
    code, found, _ = shop.rollout("--restart")

    assert (code, found["verdict"], found["passed"]) == (0, "done", True)
    assert outcomes(found, new=False) == ["clean"] * 3
    assert outcomes(found, new=True) == [None] * 3
    assert found["progress"]["fewest_ready"] == 3
    for each in found["pods"]:
        if not each["new"]:
            assert 1 < each["drained_in"] < manifests.GRACE
            assert [end["code"] for end in each["exits"]] == [0]
    assert not shop.first & shop.pods()


def test_the_gate_opens_for_a_good_rollout(target: Target, space: Space) -> None:
    """While it holds, one old pod leaves, and no other."""
    shop = Shop(target, space, "good")
    code, found, _ = shop.rollout("--restart", "--gate", "--gate-seconds", "4")

    assert (code, found["verdict"], found["gate"]) == (0, "done", "The gate is open.")
    held = [each["text"] for each in found["notes"]]
    paused, resumed = "The gate paused the Deployment", "The gate resumed the Deployment"
    assert held == [paused, resumed, paused, resumed]
    opened = found["notes"][-1]["at"]
    drains = sorted(_began(each, "draining") for each in found["pods"] if not each["new"])
    assert drains[0] < opened <= drains[1], "the gate held the other old pods"
    first = min(_began(each, "ready") for each in found["pods"] if each["new"])
    assert found["notes"][1]["at"] - first >= 4
    assert not shop.paused()


def _began(pod: Mapping[str, Any], phase: str) -> float:
    return next(float(each["begin"]) for each in pod["phases"] if each["phase"] == phase)


def test_the_rights_of_the_page_are_enough(target: Target, space: Space, tmp_path: Path) -> None:
    """For a restart with a gate."""
    kubeconfig = account_with_the_rights_of_the_page(target, space, tmp_path)
    shop = Shop(target, space, "good")
    words = ("--restart", "--gate", "--gate-seconds", "1")
    code, found, progress = shop.rollout(*words, kubeconfig=kubeconfig)

    assert (code, found["passed"]) == (0, True), progress


def test_a_crash_loop_is_stuck(target: Target, space: Space) -> None:
    """No old pod has left, and the exit code of the app is named."""
    shop = Shop(target, space, "good")
    shop.change("crash")
    code, found, _ = shop.rollout("--timeout", "25")

    assert (code, found["verdict"]) == (1, "stuck")
    assert any("which exited with 3" in each for each in found["reasons"]), found["reasons"]
    assert shop.first <= shop.pods()


@pytest.mark.parametrize("mode", ["crash", "never"])
def test_the_gate_undoes_what_does_not_start(target: Target, space: Space, mode: str) -> None:
    """The three old pods have never left."""
    shop = Shop(target, space, "good")
    shop.change(mode)
    code, found, _ = shop.rollout("--gate", "--timeout", "30")

    assert (code, found["verdict"]) == (1, "undone"), found
    space.wait(shop.complete, "the Deployment is complete again")
    assert shop.pods() == shop.first
    assert not shop.paused()


def test_what_is_cut_off_is_told(target: Target, space: Space) -> None:
    """The rollout is done, and not clean."""
    shop = Shop(target, space, "busy")
    shop.change("good")
    code, found, _ = shop.rollout()

    assert (code, found["verdict"], found["passed"]) == (1, "done", False)
    assert outcomes(found, new=False) == ["cut off"] * 3


def test_the_gate_undoes_what_cuts_off(target: Target, space: Space) -> None:
    """One old pod has left. The others have not."""
    shop = Shop(target, space, "busy")
    shop.change("good")
    code, found, _ = shop.rollout("--gate", "--gate-seconds", "2")

    assert (code, found["verdict"]) == (1, "undone"), found
    assert sorted(map(str, outcomes(found, new=False))) == ["None", "None", "None", "cut off"]
    space.wait(shop.complete, "the Deployment is complete again")
    assert len(shop.first & shop.pods()) == 2
    assert not shop.paused()


def test_what_is_killed_is_told(target: Target, space: Space) -> None:
    """A process that ignores SIGTERM, at the end of its grace period."""
    bare = {"command": list(DEAF), "lifecycle": {}}
    probes = dict.fromkeys(("startupProbe", "readinessProbe", "livenessProbe"))
    shop = Shop(target, space, "good", **bare, **probes)
    code, found, _ = shop.rollout("--restart")

    assert (code, found["verdict"]) == (1, "done")
    assert outcomes(found, new=False) == ["killed"] * 3


def test_a_hook_that_fails_is_told(target: Target, space: Space) -> None:
    """Only an Event tells it."""
    hook = {"preStop": {"exec": {"command": ["false"]}}}
    shop = Shop(target, space, "good", lifecycle=hook)
    code, found, _ = shop.rollout("--restart")

    assert (code, found["verdict"]) == (1, "done")
    assert outcomes(found, new=False) == ["hook failed"] * 3


def test_an_interrupt_undoes_what_the_gate_holds(target: Target, space: Space) -> None:
    """The Deployment is as before, and not paused."""
    shop = Shop(target, space, "good")
    with subprocess.Popen(
        shop.command("--restart", "--gate", "--gate-seconds", "60"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            space.wait(shop.paused, "the gate holds")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=LATEST)
        finally:
            process.kill()

    assert (process.returncode, json.loads(out)["verdict"]) == (130, "undone"), err
    space.wait(shop.complete, "the Deployment is complete again")
    assert not shop.paused()
    assert shop.pods() == shop.first


def test_an_outage_of_the_api_server_loses_nothing(
    target: Target, space: Space, cluster: Cluster
) -> None:
    """It is restarted while the gate holds. Each exit is seen all the same."""
    shop = Shop(target, space, "good")
    with subprocess.Popen(
        shop.command("--restart", "--gate", "--gate-seconds", "15"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            space.wait(shop.paused, "the gate holds")
            cluster.kill("kube-apiserver")
            cluster.bring_back_api_server()
            out, err = process.communicate(timeout=2 * LATEST)
        finally:
            process.kill()

    assert (process.returncode, json.loads(out)["passed"]) == (0, True), err
    assert "API server: " in err
    assert "the API server answers again" in err

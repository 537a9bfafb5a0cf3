"""What `lifecycle fleet serve` makes of new tokens, a new API server and an expired watch."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightkube.resources.core_v1 import Pod

from lifecycle.manifests.control_plane import READ
from plugins.fleet.tests.serving import Reader, Served, served
from tests.cluster.cluster import Cluster
from tests.cluster.fixtures import Target
from tests.e2e import accounts, registering
from tests.e2e.kit import Space
from tests.e2e.test_fleet import config

KINDS = ("pods", "endpointslices", "events")
MISSED = 30
"""Changes that the server does not see, because it stands still."""


@dataclass
class Account:
    """The account of the server, in a kubeconfig with a file of its token."""

    file: Path
    settings: dict[str, Any]

    def kubeconfig(self, folder: Path, namespace: str = "") -> Path:
        """Write the kubeconfig."""
        del namespace
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(self.settings))
        return path


def account(target: Target, space: Space, folder: Path) -> Account:
    """Make the account, with exactly the rights that `manifests` writes."""
    metadata = {"name": "page"}
    api = {"apiVersion": f"{registering.RBAC}/v1", "metadata": metadata}
    role = {"apiGroup": registering.RBAC, "kind": "Role", "name": "page"}
    who = {"kind": "ServiceAccount", "name": "page", "namespace": space.name}
    space.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    space.create({**api, "kind": "Role", "rules": READ})
    space.create({**api, "kind": "RoleBinding", "roleRef": role, "subjects": [who]})
    file = folder / "token"
    settings = config(target, space, "")
    settings["users"][0]["user"] = {"tokenFile": str(file)}
    return Account(file, settings)


def put(space: Space, names: Sequence[str]) -> None:
    """Create pods that no node takes."""
    for name in names:
        container = {"name": "app", "image": space.image}
        spec = {"containers": [container], "nodeSelector": {"no": "node"}}
        space.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def shown(reader: Reader) -> set[str]:
    """Return the names of the pods that a reader of the stream sees."""
    return {each["name"] for each in reader.pods.values()}


def numbers(server: Served, name: str) -> dict[str, float]:
    """Return a metric of the server, for each kind."""
    lines = server.ask("/metrics").text.splitlines()
    found = {kind: [each for each in lines if f'{name}{{kind="{kind}"}}' in each] for kind in KINDS}
    return {kind: float(line.rpartition(" ")[2]) for kind, (line,) in found.items()}


@contextmanager
def frozen(server: Served) -> Iterator[None]:
    """Let the server stand still."""
    server.app.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.app.signal(signal.SIGCONT)


@pytest.mark.timeout(300)
def test_a_new_token_a_new_api_server_and_an_expired_watch(
    space: Space, target: Target, cluster: Cluster, tmp_path: Path
) -> None:
    """Its readers miss nothing, and each kind is listed once more at most."""
    who = account(target, space, tmp_path)
    old = accounts.token(space, "old", "page")
    who.file.write_text(old)
    put(space, ["first"])
    with served(who, tmp_path, "-n", space.name, "--all") as server, server.reader() as reader:
        assert shown(reader.whole()) == {"first"}
        put(space, ["second"])
        reader.until(lambda: shown(reader) == {"first", "second"})

        who.file.write_text(accounts.token(space, "new", "page"))
        accounts.take_back(space, "old", old)
        with frozen(server):
            cluster.kill("kube-apiserver")
            cluster.bring_back_api_server()
            later = [f"later-{number}" for number in range(MISSED)]
            put(space, later)
            space.client.delete(Pod, "first", grace_period=0)
        reader.until(lambda: shown(reader) == {"second", *later})

        put(space, ["last"])
        reader.until(lambda: "last" in shown(reader))
        space.wait(lambda: set(numbers(server, "watching").values()) == {1.0}, "every watch")
        lists = numbers(server, "lists_total")
        assert lists["pods"] == 2, lists
        assert max(lists.values()) <= 2, lists
        assert reader.link == {}
        assert reader.seen.count("begin") == 1

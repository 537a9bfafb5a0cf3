"""An API server with etcd and nothing else, filled with pods that no kubelet runs."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from tests.cluster.build import programs
from tests.cluster.machine import Machine
from tests.cluster.settings import Settings
from tests.process.kit import wait_for

NAMESPACES: Final = ("data", "payments", "shop", "warehouse", "web")
ANNOTATION: Final = "pod-lifecycle.dev/status"
PER_WORKLOAD: Final = 20
AT_ONCE: Final = 16
"""Requests that fill the cluster at a time."""
LATEST: Final = 120.0
MERGE: Final = {"Content-Type": "application/merge-patch+json"}
STATES: Final = ("starting", "exporting", "registered", "ready", "draining")

Object = dict[str, Any]


class ApiServer:
    """
    A kube-apiserver with etcd.

    Attributes:
        kubeconfig: The administrator's.
    """

    def __init__(self, machine: Machine, settings: Settings) -> None:
        self._machine = machine
        self._settings = settings
        self._commands = settings.commands()
        self.kubeconfig = settings.kubeconfig

    def start(self, name: str = "kube-apiserver") -> None:
        """Start the API server, or etcd."""
        self._machine.start(name, self._commands[name])

    def kill(self) -> None:
        """Kill the API server."""
        self._machine.kill("kube-apiserver")

    def wait(self) -> None:
        """Wait until it answers."""
        wait_for(self._answers, LATEST, lambda: self._machine.log("kube-apiserver")[-2000:])

    def _answers(self) -> bool:
        try:
            with httpx.Client(**self.access()) as client:
                return client.get("/readyz", timeout=2).text == "ok"
        except (httpx.HTTPError, OSError, ssl.SSLError):
            return False

    def access(self) -> dict[str, Any]:
        """Return how a client reaches it, as the administrator."""
        config = json.loads(self.kubeconfig.read_text())
        authority = config["clusters"][0]["cluster"]["certificate-authority"]
        token = config["users"][0]["user"]["token"]
        return {
            "base_url": self._settings.url,
            "verify": ssl.create_default_context(cafile=authority),
            "headers": {"Authorization": f"Bearer {token}"},
        }

    def with_token(self, token: str, folder: Path) -> Path:
        """Write a kubeconfig of somebody else, and return its path."""
        config = json.loads(self.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token}
        path = folder / "kubeconfig"
        path.write_text(json.dumps(config))
        return path


@contextmanager
def api_server() -> Iterator[ApiServer]:
    """Run etcd and an API server until the block ends."""
    with Machine() as machine:
        found = ApiServer(machine, Settings(machine, programs(), "unused"))
        found.start("etcd")
        found.start()
        found.wait()
        yield found


class Cluster:
    """
    The objects of the cluster.

    Args:
        client: The administrator's client.
        changing: The client of the changes that nobody times, so that they delay no other request.
        pods: How many pods there are to be.

    Attributes:
        names: Namespace and name of each pod.
        changed: How many changes were made.
    """

    def __init__(self, client: httpx.AsyncClient, changing: httpx.AsyncClient, pods: int) -> None:
        self._client = client
        self._changing = changing
        self.names = [_name(number) for number in range(pods)]
        self.changed = 0

    async def ask(self, method: str, path: str, thing: Object | None = None) -> Object:
        """Send a request, and return the answer."""
        return await self._ask(self._client, method, path, thing)

    async def _ask(
        self, client: httpx.AsyncClient, method: str, path: str, thing: Object | None
    ) -> Object:
        headers = MERGE if method == "PATCH" else {}
        answer = await client.request(method, path, json=thing, headers=headers)
        if answer.status_code >= 300:
            raise RuntimeError(f"{method} {path}: {answer.text}")
        found: Object = answer.json()
        return found

    async def fill(self) -> None:
        """Create namespaces, pods that are READY, and their EndpointSlices."""
        for namespace in NAMESPACES:
            await self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
            account = {"metadata": {"name": "default"}}
            await self.ask("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
        room = asyncio.Semaphore(AT_ONCE)

        async def make(namespace: str, name: str) -> None:
            async with room:
                await self.ask("POST", f"/api/v1/namespaces/{namespace}/pods", _pod(name))
                await self.change(namespace, name, "ready")

        await asyncio.gather(*(make(*each) for each in self.names))
        for at in range(0, len(self.names), PER_WORKLOAD):
            some = self.names[at : at + PER_WORKLOAD]
            path = f"/apis/discovery.k8s.io/v1/namespaces/{some[0][0]}/endpointslices"
            await self.ask("POST", path, _slice(some))

    async def change(self, namespace: str, name: str, state: str, cause: str = "") -> None:
        """Let a pod tell a state, as lifecycle-kubernetes does it."""
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/status"
        await self.ask("PATCH", path, _told(state, cause))

    async def keep_changing(self, rate: float) -> None:
        """Change pods at random, so many times a second, until this is cancelled."""
        started, number, room = time.monotonic(), 0, asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            while True:
                number += 1
                await room.acquire()
                tasks.create_task(self._try(room, *random.choice(self.names[1:])))
                await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))

    async def _try(self, room: asyncio.Semaphore, namespace: str, name: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/status"
        try:
            await self._ask(self._changing, "PATCH", path, _told(random.choice(STATES), ""))
            self.changed += 1
        except (httpx.HTTPError, RuntimeError):
            return  # while the API server is away
        finally:
            room.release()


@asynccontextmanager
async def cluster(server: ApiServer, pods: int) -> AsyncIterator[Cluster]:
    """Give the objects of an API server."""
    async with (
        httpx.AsyncClient(**server.access(), timeout=30) as client,
        httpx.AsyncClient(**server.access(), timeout=30) as changing,
    ):
        yield Cluster(client, changing, pods)


async def account(objects: Cluster, made: list[Object], namespace: str) -> str:
    """
    Apply the account and the rights of a manifest, and return a token of the account.

    Args:
        objects: The cluster.
        made: The objects of `lifecycle manifests --profile=control-plane`.
        namespace: The namespace, which is made too.
    """
    await objects.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    rbac, core = "/apis/rbac.authorization.k8s.io/v1", f"/api/v1/namespaces/{namespace}"
    paths = {
        "ServiceAccount": f"{core}/serviceaccounts",
        "ClusterRole": f"{rbac}/clusterroles",
        "ClusterRoleBinding": f"{rbac}/clusterrolebindings",
        "Role": f"{rbac}/namespaces/{namespace}/roles",
        "RoleBinding": f"{rbac}/namespaces/{namespace}/rolebindings",
    }
    name = ""
    for each in made:
        if path := paths.get(each["kind"]):
            await objects.ask("POST", path, each)
        if each["kind"] == "ServiceAccount":
            name = each["metadata"]["name"]
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = await objects.ask("POST", f"{core}/serviceaccounts/{name}/token", review)
    token: str = answer["status"]["token"]
    assert base64.urlsafe_b64decode(token.split(".")[1] + "==")
    return token


def _name(number: int) -> tuple[str, str]:
    group, at = divmod(number, PER_WORKLOAD)
    return NAMESPACES[group % len(NAMESPACES)], f"web-{group:03}-7d9f6c5b8-{at:05}"


def _pod(name: str) -> Object:
    owner = name.rpartition("-")[0]
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner}
    probe = {"httpGet": {"path": "/ready", "port": "qos"}}
    container = {
        "name": "app",
        "image": "registry.example/shop/web:2026.11.30-1a2b3c4d5e",
        "command": ["lifecycle", "run", "--asgi", "web:app"],
        "ports": [{"name": "http", "containerPort": 8080}, {"name": "qos", "containerPort": 22222}],
        "env": [{"name": f"VARIABLE_{n}", "value": "x" * 40} for n in range(20)],
        "readinessProbe": probe,
        "livenessProbe": probe,
        "startupProbe": probe,
        "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}},
        "lifecycle": {"preStop": {"exec": {"command": ["lifecycle", "prestop"]}}},
    }
    return {
        "metadata": {
            "name": name,
            "labels": {"app": owner.rpartition("-")[0], "pod-template-hash": "7d9f6c5b8"},
            "ownerReferences": [reference | {"controller": True}],
        },
        "spec": {"nodeName": f"node-{hash(name) % 50:02}", "containers": [container]},
    }


def _told(state: str, cause: str) -> Object:
    told = {
        "state": state,
        "since": time.time(),
        "cause": cause or state,
        "version": "0.2.0",
        "settle": 5,
        "grace": 30,
        "start": 3.2,
        "online": ["web"] if state == "ready" else [],
        "offline": [],
        "qos_port": 22222,
    }
    ready = "True" if state == "ready" else "False"
    container = {
        "name": "app",
        "ready": state == "ready",
        "restartCount": 0,
        "image": "registry.example/shop/web:2026.11.30-1a2b3c4d5e",
        "imageID": "",
        "state": {"running": {"startedAt": "2026-11-30T10:00:00Z"}},
    }
    return {
        "metadata": {"annotations": {ANNOTATION: json.dumps(told)}},
        "status": {
            "phase": "Running",
            "conditions": [
                {"type": kind, "status": ready}
                for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
            ],
            "containerStatuses": [container],
        },
    }


def _slice(some: list[tuple[str, str]]) -> Object:
    endpoints = [
        {
            "addresses": [f"10.0.{at // 250}.{at % 250 + 1}"],
            "conditions": {"ready": True},
            "targetRef": {"kind": "Pod", "namespace": namespace, "name": name},
        }
        for at, (namespace, name) in enumerate(some)
    ]
    owner = some[0][1].rpartition("-")[0]
    return {
        "metadata": {"name": f"{owner}-x1"},
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"port": 8080}],
    }

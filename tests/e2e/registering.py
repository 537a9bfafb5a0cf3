"""A pod that registers by lifecycle-kubernetes: its account, its gate, and what is seen of it."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightkube.resources.core_v1 import Pod

from lifecycle.manifests.names import REGISTERED, RULES
from tests.e2e import manifests
from tests.e2e.kit import LATEST, Space
from tests.process.kit import wait_for

APP = Path(__file__).parent / "served" / "registering.py"
RUN = ("lifecycle", "run", "--app-dir", "/app", "registering:main")
ANNOTATION = "io.dubbo/metadata"
RBAC = "rbac.authorization.k8s.io"


def create(
    space: Space,
    *,
    account: str = "orders",
    change: Callable[[dict[str, Any]], None] = lambda _: None,
    **env: str,
) -> None:
    """
    Create the pod `orders` with its Service.

    Args:
        space: Where.
        account: Its ServiceAccount; `orders` is made, and allowed to register.
        change: Changes the pod's manifest.
        env: More settings.
    """
    space.files("orders", APP)
    space.create(manifests.service("orders"))
    if account == "orders":
        space.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}})
        allow(space, account)
    # Tests read /status from outside.
    settings = {
        "LIFECYCLE_KUBERNETES_ENABLED": "true",
        "LIFECYCLE_QOS_ALLOW": "0.0.0.0/0",
        "LIFECYCLE_REGISTER_TIMEOUT": "3",
        "LIFECYCLE_PRESTOP_TOKEN": manifests.TOKEN,
    }
    pod = manifests.pod("orders", space.image, RUN, env=settings | env)
    pod["spec"]["readinessGates"] = [{"conditionType": REGISTERED}]
    # So seldom that what follows at once is the gate's doing.
    pod["spec"]["containers"][0]["readinessProbe"] |= {"periodSeconds": 10, "failureThreshold": 3}
    pod["spec"]["serviceAccountName"] = account
    change(pod)
    space.create(pod)


def allow(space: Space, account: str, rules: Sequence[Mapping[str, Any]] = RULES) -> None:
    """Give a ServiceAccount the right to register, or other ones."""
    metadata = {"name": "orders"}
    role = {"apiGroup": RBAC, "kind": "Role", "name": "orders"}
    who = {"kind": "ServiceAccount", "name": account, "namespace": space.name}
    for manifest in (
        {"kind": "Role", "rules": [*rules]},
        {"kind": "RoleBinding", "roleRef": role, "subjects": [who]},
    ):
        space.create({"apiVersion": f"{RBAC}/v1", **manifest, "metadata": metadata})


def seen(space: Space) -> tuple[str, str]:
    """Return what the API server has of the pod: the condition's status, and the annotation."""
    pod = space.client.get(Pod, "orders")
    assert pod.metadata is not None
    conditions = (pod.status and pod.status.conditions) or []
    status = next((each.status for each in conditions if each.type == REGISTERED), "")
    return status, (pod.metadata.annotations or {}).get(ANNOTATION, "")


def address(space: Space) -> str:
    """Return the pod's address once its app listens."""

    def listening() -> str:
        status = space.client.get(Pod, "orders").status
        if status is None or not (ip := status.podIP):
            return ""
        try:
            socket.create_connection((ip, manifests.PORT), 5).close()
        except OSError:
            return ""
        return ip

    return space.wait(listening, "the app listens", about="orders")


def tell(address: str, word: str) -> None:
    """Tell the app a word."""
    with socket.create_connection((address, manifests.PORT), 10) as connection:
        connection.sendall(f"{word}\n".encode())
        connection.recv(1)


def ready(address: str) -> bool:
    """Ask the pod itself, as the kubelet does."""
    try:
        with urllib.request.urlopen(f"http://{address}:{manifests.QOS}/ready", timeout=5) as answer:
            return bool(answer.read() == b"true")
    except OSError:
        return False


def ask(address: str, path: str) -> Any:
    """Ask the QOS port of a pod what only the token's owner may ask."""
    return json.loads(_get(address, path, timeout=5))


def _get(address: str, path: str, *, timeout: float) -> bytes:
    url, token = f"http://{address}:{manifests.QOS}{path}", {"X-Lifecycle-Token": manifests.TOKEN}
    with urllib.request.urlopen(urllib.request.Request(url, headers=token), timeout=timeout) as it:
        return bytes(it.read())


def registration(address: str) -> dict[str, Any]:
    """Return the pod's registration as `/status` shows it; nothing while there is none."""
    services = ask(address, "/status")["services"]
    return dict(services[0]["registrations"]["kubernetes"]) if services else {}


def wait_registered(address: str, value: str, what: str) -> None:
    """Return when `/status` shows `registered` as yes, no or unknown."""
    wait_for(lambda: registration(address).get("registered") == value, LATEST, what)


def prestop(address: str) -> float:
    """Begin the drain as an httpGet hook does; return how long its answer took."""
    began = time.monotonic()
    _get(address, "/prestop", timeout=manifests.GRACE + 10)
    return time.monotonic() - began

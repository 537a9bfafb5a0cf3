"""
Deployments that are broken in one way each, for `lifecycle fleet why`.

Each is the output of `lifecycle manifests` with one change. `WAYS` has the changes, and the rule that
has to find each.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.e2e.generated import written
from tests.e2e.kit import Space

APP: Final = Path(__file__).parent / "served" / "troubled.py"
PORT: Final = 8080
Manifests = list[dict[str, Any]]


class Way(NamedTuple):
    """
    One way to break a Deployment.

    Attributes:
        rule: The rule that has to find it.
        says: A part of its sentence.
        change: Changes the manifests.
        url: The path of a request that has to be sent to the pod first. Empty if there is none.
        command: A command that has to be run in the pod first.
    """

    rule: str
    says: str
    change: Callable[[Manifests], object]
    url: str = ""
    command: tuple[str, ...] = ()


def of(made: Manifests, kind: str) -> dict[str, Any]:
    """Return the object of a kind."""
    (found,) = (each for each in made if each["kind"] == kind)
    return found


def spec(made: Manifests) -> dict[str, Any]:
    """Return the spec of the pods."""
    found: dict[str, Any] = of(made, "Deployment")["spec"]["template"]["spec"]
    return found


def app(made: Manifests) -> dict[str, Any]:
    """Return the container of the app."""
    found: dict[str, Any] = spec(made)["containers"][0]
    return found


def setting(made: Manifests, name: str, value: str) -> None:
    """Set a variable of the app."""
    app(made)["env"].append({"name": name, "value": value})


def _drop(made: Manifests, *kinds: str) -> None:
    made[:] = [each for each in made if each["kind"] not in kinds]


def _short_start(made: Manifests) -> None:
    setting(made, "START", "40")
    app(made)["startupProbe"] |= {"periodSeconds": 1, "failureThreshold": 4}


def _label(made: Manifests) -> None:
    of(made, "Service")["spec"]["selector"] = {"app.kubernetes.io/name": "selecter"}


def _budget(made: Manifests) -> None:
    found = of(made, "PodDisruptionBudget")["spec"]
    del found["maxUnavailable"]
    found["minAvailable"] = 1


def _finalizer(made: Manifests) -> None:
    metadata = of(made, "Deployment")["spec"]["template"]["metadata"]
    metadata["finalizers"] = ["pod-lifecycle.example/backup"]


def _no_token(made: Manifests) -> None:
    spec(made)["automountServiceAccountToken"] = False
    of(made, "ServiceAccount")["automountServiceAccountToken"] = False


def _volume(made: Manifests) -> None:
    spec(made)["volumes"].append({"name": "tls", "secret": {"secretName": "no-such-secret"}})
    app(made)["volumeMounts"].append({"name": "tls", "mountPath": "/tls"})


def _secret(made: Manifests) -> None:
    source = {"secretKeyRef": {"name": "no-such-secret", "key": "password"}}
    app(made)["env"].append({"name": "PASSWORD", "valueFrom": source})


def _init(made: Manifests) -> None:
    one = {key: app(made)[key] for key in ("image", "securityContext", "resources")}
    command = ["python3", "-c", "import time; time.sleep(900)"]
    spec(made)["initContainers"] = [{"name": "migrate", "command": command, **one}]


def _big(made: Manifests) -> None:
    app(made)["resources"]["requests"]["cpu"] = "900"


def _loopback(made: Manifests) -> None:
    words = app(made)["command"]
    words[words.index(f"0.0.0.0:{PORT}")] = f"127.0.0.1:{PORT}"


TWELVE: Final[dict[str, Way]] = {
    "port": Way(
        "probe-port",
        "uses port 8081, but pod-lifecycle answers probes on port 22222",
        lambda made: app(made)["readinessProbe"]["httpGet"].update(port=8081),
    ),
    "path": Way(
        "probe-path",
        "requests /redy on the probe port 22222",
        lambda made: app(made)["readinessProbe"]["httpGet"].update(path="/redy"),
    ),
    "gate": Way(
        "gate-unset",
        "but lifecycle-kubernetes is turned off in the app",
        lambda made: setting(made, "LIFECYCLE_KUBERNETES_ENABLED", "false"),
    ),
    "rights": Way(
        "gate-rights",
        "The ServiceAccount rights may not register the pod",
        lambda made: _drop(made, "Role", "RoleBinding"),
    ),
    "start": Way("startup-budget", "startup probe", _short_start),
    "image": Way(
        "image",
        "cannot reach the registry of the image registry.invalid/shop:1",
        lambda made: app(made).update(image="registry.invalid/shop:1"),
    ),
    "crash": Way(
        "crash",
        "exits with 2 because the app could not start",
        lambda made: setting(made, "LIFECYCLE_SETTLE", "-1"),
    ),
    "place": Way(
        "unschedulable",
        "The nodeSelector or the node affinity of the pod excludes every node",
        lambda made: spec(made).update(nodeSelector={"disk": "none-such"}),
    ),
    "budget": Way("eviction", "can never be evicted from it", _budget),
    "finalizer": Way("finalizer", "pod-lifecycle.example/backup keeps the pod", _finalizer),
    "flight": Way("draining", "1 piece of work in flight: GET /export", lambda _: None, "/export"),
    "selector": Way("service-selector", "app.kubernetes.io/name=selecter", _label),
}
"""The twelve ways."""

MORE: Final[dict[str, Way]] = {
    "target": Way(
        "service-port",
        "sends requests to port 8088, but nothing in the pod listens on this port",
        lambda made: of(made, "Service")["spec"]["ports"][0].update(targetPort=8088),
    ),
    "loopback": Way("service-port", "only on 127.0.0.1", _loopback),
    "token": Way("gate-unset", "no token of a ServiceAccount is mounted", _no_token),
    "volume": Way("volume", "needs the secret no-such-secret", _volume),
    "secret": Way("container-config", "needs the secret no-such-secret", _secret),
    "init": Way("init-container", "The init container migrate has been running", _init),
    "program": Way(
        "container-start",
        "does not have the program lifecycel",
        lambda made: app(made)["command"].__setitem__(0, "lifecycel"),
    ),
    "resources": Way("unschedulable", "Too little cpu is left for the pod on every node", _big),
    "probe": Way(
        "probe-fails",
        "probe postgres of the app fails with the reason: no route to the database",
        lambda made: setting(made, "FAILING", "no route to the database"),
    ),
    "offline": Way(
        "offline",
        "An administrator has taken every service of the app offline",
        lambda _: None,
        command=("lifecycle", "offline"),
    ),
    "block": Way("loop-blocked", "The event loop of the app is blocked", lambda _: None, "/block"),
    "memory": Way("out-of-memory", "more memory than its limit", lambda _: None, "/eat"),
}
"""Others that are often met."""
WAYS: Final = TWELVE | MORE


@cache
def manifests(name: str, image: str) -> str:
    """Return what `lifecycle manifests` writes for the app, as JSON."""
    command = ("lifecycle", "run", "--app-dir", "/app", "--asgi", "troubled:app")
    small = ("--replicas", "1", "--cpu", "10m", "--memory", "160Mi")
    return written(
        *("--image", image, *small, "--service", f"{name}:{PORT}", "-o", "json"),
        name=name,
        command=(*command, "--bind", f"0.0.0.0:{PORT}"),
    )


def create(space: Space, name: str, change: Callable[[Manifests], object]) -> None:
    """Put a Deployment with a change into a namespace, with all that belongs to it."""
    made: Manifests = json.loads(manifests(name, space.image))["items"]
    spec(made)["volumes"].append({"name": "app", "configMap": {"name": "troubled"}})
    app(made)["volumeMounts"].append({"name": "app", "mountPath": "/app"})
    change(made)
    for each in made:
        space.create(each)

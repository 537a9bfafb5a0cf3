"""The manifests of the tests: a pod with the three probes and a preStop, and its Service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

QOS = 22222
PORT = 8080
TOKEN = "a-token-for-the-test-alone"
EXEC = {"exec": {"command": ["lifecycle", "prestop"]}}
HTTP = {
    "httpGet": {
        "path": "/prestop",
        "port": QOS,
        "httpHeaders": [{"name": "X-Lifecycle-Token", "value": TOKEN}],
    }
}
GRACE = 15
TIMES = {
    "LIFECYCLE_GRACE_PERIOD": str(GRACE),
    "LIFECYCLE_SETTLE": "1",
    "LIFECYCLE_QUIET": "0.5",
    "LIFECYCLE_STOP_TIMEOUT": "2",
}
"""Short times that are valid."""
UNREGISTERED = {"LIFECYCLE_KUBERNETES_ENABLED": "false"}
"""The image has every plugin, and the pods of most tests no right to register."""


def pod(
    name: str,
    image: str,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    prestop: Mapping[str, Any] = EXEC,
) -> dict[str, Any]:
    """Return a pod whose files are the ConfigMap of its name, in /app."""
    variables = [
        {"name": key, "value": value}
        for key, value in (TIMES | UNREGISTERED | dict(env or {})).items()
    ]
    variables.append({"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}})
    container = {
        "name": "app",
        "image": image,
        "command": list(argv),
        "env": variables,
        "startupProbe": _probe("/startup", failureThreshold=60),
        "readinessProbe": _probe("/ready", failureThreshold=1),
        "livenessProbe": _probe("/live", failureThreshold=2),
        "lifecycle": {"preStop": dict(prestop)},
        "volumeMounts": [
            {"name": "app", "mountPath": "/app"},
            {"name": "state", "mountPath": "/state"},
        ],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": GRACE,
            "enableServiceLinks": False,
            "containers": [container],
            "volumes": [
                {"name": "app", "configMap": {"name": name}},
                {"name": "state", "emptyDir": {}},
            ],
        },
    }


def service(name: str) -> dict[str, Any]:
    """Return the Service of that pod."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": PORT}]},
    }


def _probe(path: str, **settings: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": QOS},
        "periodSeconds": 1,
        "timeoutSeconds": 1,
        **settings,
    }

"""A pod of `lifecycle.testing` as the manifest that means the same."""

from __future__ import annotations

from typing import Any

from lifecycle.testing import Exec, HttpGet, PodSpec, Probe, Sleep, TcpSocket
from tests.e2e.manifests import PORT


def pod(spec: PodSpec, image: str, files: str) -> dict[str, Any]:
    """
    Return the manifest.

    Args:
        spec: The pod; its port `http` is 8080.
        image: What it runs.
        files: The ConfigMap that it finds in `$(APP)`, /app.
    """
    own = spec.container
    env = {"APP": "/app", "PORT_HTTP": str(PORT), **own.env}
    container = {
        "name": own.name,
        "image": image,
        "command": list(own.command),
        "workingDir": "/state",
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "ports": [{"name": "http", "containerPort": PORT}],
        "volumeMounts": [
            {"name": "app", "mountPath": "/app"},
            {"name": "state", "mountPath": "/state"},
        ],
    }
    for kind in ("startup", "readiness", "liveness"):
        if (probe := getattr(own, kind)) is not None:
            container[f"{kind}Probe"] = _probe(probe)
    if own.pre_stop is not None:
        container["lifecycle"] = {"preStop": _handler(own.pre_stop)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": spec.name},
        "spec": {
            "terminationGracePeriodSeconds": int(spec.grace_period),
            "restartPolicy": spec.restart_policy,
            "enableServiceLinks": False,
            "containers": [container],
            "volumes": [
                {"name": "app", "configMap": {"name": files}},
                {"name": "state", "emptyDir": {}},
            ],
        },
    }


def _probe(probe: Probe) -> dict[str, Any]:
    fields = {
        "initialDelaySeconds": probe.initial_delay,
        "periodSeconds": probe.period,
        "timeoutSeconds": probe.timeout,
        "successThreshold": probe.success_threshold,
        "failureThreshold": probe.failure_threshold,
        "terminationGracePeriodSeconds": probe.termination_grace_period,
    }
    given = {name: int(value) for name, value in fields.items() if value is not None}
    return _handler(probe.handler) | given


def _handler(handler: HttpGet | Exec | TcpSocket | Sleep) -> dict[str, Any]:
    match handler:
        case HttpGet():
            headers = [{"name": name, "value": value} for name, value in handler.headers]
            return {
                "httpGet": {
                    "port": handler.port,
                    "path": handler.path,
                    "scheme": handler.scheme.upper(),
                    "httpHeaders": headers,
                }
            }
        case Exec():
            return {"exec": {"command": list(handler.command)}}
        case TcpSocket():
            return {"tcpSocket": {"port": handler.port}}
        case Sleep():
            return {"sleep": {"seconds": int(handler.seconds)}}

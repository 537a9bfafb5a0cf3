"""The pod: container, probes, preStop, and a security context that passes `restricted`."""

from __future__ import annotations

import math
from typing import Any, Final

from lifecycle.checks.rules.probes import LONG_GRACE
from lifecycle.config import KILL_MARGIN, Config
from lifecycle.manifests import metrics
from lifecycle.manifests.command import own_command
from lifecycle.manifests.names import REGISTERED
from lifecycle.manifests.plan import Plan

TIMEOUT_MARGIN: Final = 0.2
"""Seconds that the kubelet waits longer than `probe_timeout`, at least, for the network."""
STARTUP_PROBES: Final = 120
"""How many startup probes may fail, if no time limit for a start is given."""
TMP: Final = "lifecycle-tmp"
"""The volume at /tmp, because the root file system is read-only."""
ISTIO_DRAIN: Final = 5
"""Default of the shortest drain of Istio's pilot-agent, in seconds."""

Object = dict[str, Any]


def pod_spec(plan: Plan) -> Object:
    """Return the spec of the pod."""
    spec: Object = {
        "serviceAccountName": plan.name,
        "automountServiceAccountToken": bool(plan.rules),
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": plan.grace,
        "securityContext": _identity(plan),
        "containers": [container(plan)],
        "volumes": [
            {"name": "lifecycle-run", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": TMP, "emptyDir": {}},
        ],
    }
    if plan.is_job:
        spec["restartPolicy"] = "Never"
    if plan.registers:
        spec["readinessGates"] = [{"conditionType": REGISTERED}]
    return spec


def _identity(plan: Plan) -> Object:
    user = {"runAsUser": plan.user, "runAsGroup": plan.user}
    return {"runAsNonRoot": True, **user, "seccompProfile": {"type": "RuntimeDefault"}}


def container(plan: Plan) -> Object:
    """Return the app's container."""
    made: Object = {"name": plan.container or plan.name}
    if plan.image is not None:
        made["image"] = plan.image
    if plan.command:
        made["command"] = [_literal(word) for word in plan.command]
    return made | {
        "env": env(plan),
        "ports": ports(plan),
        **probes(plan),
        "lifecycle": {"preStop": pre_stop(plan)},
        "resources": resources(plan),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "lifecycle-run", "mountPath": plan.run_dir},
            {"name": TMP, "mountPath": "/tmp"},  # noqa: S108 - the container's own
        ],
    }


def env(plan: Plan) -> list[Object]:
    """Return the variables of the container: name, namespace and address of the pod, and settings."""
    fields = (
        ("POD_NAME", "metadata.name"),
        ("POD_NAMESPACE", "metadata.namespace"),
        ("POD_IP", "status.podIP"),
    )
    own = [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
        for name, path in fields
        if name not in plan.env
    ]
    return own + [{"name": name, "value": _literal(value)} for name, value in plan.env.items()]


def _literal(text: str) -> str:
    """Return a text with each `$` doubled, so that the kubelet replaces nothing in it."""
    return text.replace("$", "$$")


def ports(plan: Plan) -> list[Object]:
    """Return the ports of the container: those of the app services, and the QOS port."""
    served = dict.fromkeys(port for _, port in plan.services)
    return [
        *({"name": port_name(port), "containerPort": port} for port in served),
        {"name": "qos", "containerPort": plan.config.qos_port},
    ]


def port_name(port: int) -> str:
    """Return the name of a port. A mesh must not read a protocol from the name."""
    return f"port-{port}"


def probes(plan: Plan) -> Object:
    """Return the three probes. A job has no readiness probe, because it has no clients."""
    timeout = max(1, math.ceil(plan.config.probe_timeout + TIMEOUT_MARGIN))

    def probe(path: str, period: int, failures: int) -> Object:
        return {
            "httpGet": {"path": path, "port": "qos"},
            "periodSeconds": max(period, timeout),
            "timeoutSeconds": timeout,
            "failureThreshold": failures,
        }

    made = {
        "startupProbe": probe("/startup", 1, STARTUP_PROBES),
        "readinessProbe": probe("/ready", 2, 1),
        "livenessProbe": probe("/live", 10, 3),
    }
    if plan.start_time is not None:
        startup = made["startupProbe"]
        startup["failureThreshold"] = math.ceil(plan.start_time / startup["periodSeconds"])
    if plan.is_job:
        del made["readinessProbe"]
    if plan.grace > LONG_GRACE:  # then an app that hangs must be killed sooner
        made["livenessProbe"]["terminationGracePeriodSeconds"] = _short_grace(plan.config)
    return made


def _short_grace(config: Config) -> int:
    """Return the time of a drain without work in flight, in whole seconds, and 60 at least."""
    return math.ceil(max(60, config.settle + config.quiet + config.stop_timeout + KILL_MARGIN))


def pre_stop(plan: Plan) -> Object:
    """Return the preStop hook, which starts the drain."""
    if plan.prestop == "exec":
        return {"exec": {"command": [*own_command(plan.command), "prestop"]}}
    token = plan.config.prestop_token
    return {
        "httpGet": {
            "path": "/prestop",
            "port": "qos",
            "httpHeaders": [{"name": "X-Lifecycle-Token", "value": token}],
        }
    }


def resources(plan: Plan) -> Object:
    """Return requests and limits. There is no CPU limit, because throttling delays probes."""
    asked = {"cpu": plan.cpu, "memory": plan.memory}
    limits = asked if plan.guaranteed else {"memory": plan.memory}
    return {"requests": dict(asked), "limits": dict(limits)}


def told_to_istio(plan: Plan) -> dict[str, str]:
    """Return the annotations for Istio's injection: the sidecar starts first and stops last."""
    if not plan.in_mesh:
        return {}
    # In a cluster without native sidecars, the app starts after the proxy is ready. The proxy
    # keeps running while clients may still reach this pod, and then until no client is connected.
    found = math.ceil(plan.config.settle + plan.config.quiet)
    told = {
        "proxy.istio.io/config": (
            "holdApplicationUntilProxyStarts: true\n"
            f"terminationDrainDuration: {plan.grace}s\n"
            "proxyMetadata:\n"
            '  EXIT_ON_ZERO_ACTIVE_CONNECTIONS: "true"\n'
            f"  MINIMUM_DRAIN_DURATION: {max(ISTIO_DRAIN, found)}s\n"
        ),
        "sidecar.istio.io/nativeSidecar": "true",
        "sidecar.istio.io/rewriteAppHTTPProbers": "true",
    }
    # Neither the kubelet, whose hook old injectors do not rewrite, nor Prometheus has mTLS.
    if plan.prestop == "http" or plan.metrics == metrics.PODMONITOR:
        told["traffic.sidecar.istio.io/excludeInboundPorts"] = str(plan.config.qos_port)
    if plan.guaranteed:
        for kind, value in (("CPU", plan.cpu), ("Memory", plan.memory)):
            told[f"sidecar.istio.io/proxy{kind}"] = value
            told[f"sidecar.istio.io/proxy{kind}Limit"] = value
    return told

"""The objects in the manifest, except the pod itself."""

from __future__ import annotations

from typing import Final

from lifecycle.checks.workloads.workload import IGNORE
from lifecycle.manifests import control_plane, metrics
from lifecycle.manifests.plan import Plan
from lifecycle.manifests.pod import Object, pod_spec, port_name, told_to_istio

LABEL = "app.kubernetes.io/name"
_PROGRESS: Final = 600
"""Default of a Deployment's `progressDeadlineSeconds`."""
_RESERVE: Final = 120
"""Seconds in which a pod is scheduled and its image is pulled, before its app starts."""
_RBAC = "rbac.authorization.k8s.io"


def objects(plan: Plan) -> list[Object]:
    """Return all objects, in the order in which Kubernetes needs them."""
    if plan.is_job:
        return [service_account(plan), *monitor(plan), job(plan)]
    made = [*around(plan), *services(plan), deployment(plan)]
    if plan.control_plane is not None:
        return control_plane.objects(plan.control_plane, plan.name, labels(plan), made)
    return made


def around(plan: Plan) -> list[Object]:
    """Return the objects for any Deployment: account, rights, disruption budget, PodMonitor."""
    return [service_account(plan), *rights(plan), budget(plan), *monitor(plan)]


def labels(plan: Plan) -> dict[str, str]:
    """Return the labels that select the pods."""
    return {LABEL: plan.name}


def _metadata(plan: Plan, name: str = "") -> Object:
    return {"name": name or plan.name, "labels": labels(plan)}


def template(plan: Plan) -> Object:
    """Return the pod template."""
    metadata: Object = {"labels": labels(plan)}
    scraped = (
        metrics.pod_annotations(plan.config.qos_port) if plan.metrics == metrics.ANNOTATIONS else {}
    )
    if told := told_to_istio(plan) | scraped:
        metadata["annotations"] = told
    return {"metadata": metadata, "spec": pod_spec(plan)}


def deployment(plan: Plan) -> Object:
    """Return the Deployment. A rollout starts a new pod before it stops an old one."""
    metadata = _metadata(plan)
    if plan.replicas == 1:  # the options ask for it
        metadata["annotations"] = {IGNORE: "one-replica"}
    spec: Object = {
        "replicas": plan.replicas,
        "selector": {"matchLabels": labels(plan)},
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        },
        "template": template(plan),
    }
    if (progress := (plan.start_time or 0) + _RESERVE) > _PROGRESS:
        spec["progressDeadlineSeconds"] = progress
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def job(plan: Plan) -> Object:
    """Return the Job. A disrupted pod exits with 143 and does not count as a failure."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(plan),
        "spec": {
            "backoffLimit": 3,
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    }
                ]
            },
            "template": template(plan),
        },
    }


def services(plan: Plan) -> list[Object]:
    """Return one Service for each app service."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _metadata(plan, name),
            "spec": {
                "selector": labels(plan),
                "ports": [{"name": port_name(port), "port": port, "targetPort": port_name(port)}],
            },
        }
        for name, port in plan.services
    ]


def service_account(plan: Plan) -> Object:
    """Return the ServiceAccount."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(plan),
        "automountServiceAccountToken": bool(plan.rules),
    }


def rights(plan: Plan) -> list[Object]:
    """Return the Role of lifecycle-kubernetes and its binding. Empty without the plugin."""
    if not plan.rules:
        return []
    return [
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "Role",
            "metadata": _metadata(plan),
            "rules": plan.rules,
        },
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": _metadata(plan),
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": plan.name},
            "subjects": [{"kind": "ServiceAccount", "name": plan.name}],
        },
    ]


def monitor(plan: Plan) -> list[Object]:
    """Return the PodMonitor. Empty unless it is wanted."""
    if plan.metrics != metrics.PODMONITOR:
        return []
    return [metrics.monitor(_metadata(plan), labels(plan), "qos")]


def budget(plan: Plan) -> Object:
    """Return the PodDisruptionBudget. It allows one eviction at a time, also of pods not ready."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(plan),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": labels(plan)},
        },
    }

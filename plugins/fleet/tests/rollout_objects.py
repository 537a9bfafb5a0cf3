"""Objects as a real API server has them in a rollout: a Deployment, its ReplicaSets, pods, Events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]

NAMESPACE = "shop"
NAME = "orders"
UID = "deployment-1"
T0 = 1_764_530_000.0
"""The moment at which a test begins, in seconds since the epoch."""


def stamp(at: float) -> str:
    """Return a moment as the API server writes it, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def template(version: str, **annotations: str) -> Object:
    """Return the template of a version."""
    metadata: Object = {"labels": {"app": NAME}}
    if annotations:
        metadata["annotations"] = annotations
    spec = {
        "terminationGracePeriodSeconds": 30,
        "containers": [{"name": "app", "image": f"orders:{version}"}],
    }
    return {"metadata": metadata, "spec": spec}


def deployment(
    version: str = "2",
    *,
    replicas: int = 3,
    generation: int = 2,
    observed: int | None = None,
    updated: int = 0,
    total: int | None = None,
    available: int | None = None,
    progressing: tuple[str, str] = ("True", "ReplicaSetUpdated"),
    paused: bool = False,
    surge: Any = 1,
    unavailable: Any = 0,
    strategy: str = "RollingUpdate",
    revision: int = 2,
) -> Object:
    """Return the Deployment."""
    spec: Object = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": NAME}},
        "template": template(version),
        "strategy": {"type": strategy},
        "progressDeadlineSeconds": 600,
    }
    if strategy == "RollingUpdate":
        limits = {"maxSurge": surge, "maxUnavailable": unavailable}
        spec["strategy"]["rollingUpdate"] = limits
    if paused:
        spec["paused"] = True
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "namespace": NAMESPACE,
            "name": NAME,
            "uid": UID,
            "generation": generation,
            "resourceVersion": str(generation * 100),
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
        },
        "spec": spec,
        "status": {
            "observedGeneration": generation if observed is None else observed,
            "replicas": replicas if total is None else total,
            "updatedReplicas": updated,
            "availableReplicas": replicas if available is None else available,
            "conditions": [
                {
                    "type": "Progressing",
                    "status": progressing[0],
                    "reason": progressing[1],
                    "message": f"the message of {progressing[1]}",
                }
            ],
        },
    }


def done(version: str = "2", *, replicas: int = 3, generation: int = 2) -> Object:
    """Return the Deployment after a rollout."""
    return deployment(
        version,
        replicas=replicas,
        generation=generation,
        updated=replicas,
        progressing=("True", "NewReplicaSetAvailable"),
    )


def replica_set(version: str, *, replicas: int = 3, revision: int | None = None) -> Object:
    """Return the ReplicaSet of a version, whose hash is `hash` and the version."""
    found = template(version)
    found["metadata"]["labels"]["pod-template-hash"] = f"hash{version}"
    return {
        "metadata": {
            "namespace": NAMESPACE,
            "name": f"{NAME}-hash{version}",
            "uid": f"rs-{version}",
            "creationTimestamp": stamp(T0 - 1000 + 10 * int(version)),
            "labels": {"app": NAME, "pod-template-hash": f"hash{version}"},
            "annotations": {
                "deployment.kubernetes.io/revision": str(revision or int(version)),
            },
            "ownerReferences": [{"kind": "Deployment", "uid": UID, "controller": True}],
        },
        "spec": {"replicas": replicas, "template": found},
    }


def pod(
    name: str = "a",
    version: str = "2",
    *,
    created: float = T0,
    scheduled: float | None = None,
    running: float | None = None,
    ready: float | None = None,
    deleted: float | None = None,
    grace: int = 30,
    exit_code: int | None = None,
    reason: str = "Completed",
    ended: float = T0,
    signal: int = 0,
    last: Object | None = None,
    waiting: Object | None = None,
    restarts: int = 0,
    phase: str = "Running",
    told: str = "",
) -> Object:
    """
    Return a pod.

    Args:
        name: What stands after the name of the Deployment.
        version: The version of its template.
        created: When it was created. Each moment is in seconds since the epoch.
        scheduled: When it was scheduled. None before.
        running: When its container started. None before.
        ready: When it was ready. None if it is not.
        deleted: When its deletion was requested. None before.
        grace: The grace period of the deletion.
        exit_code: The exit code of its container. None while it runs.
        reason: The reason of the exit.
        ended: When its container ended.
        signal: The signal that ended it.
        last: The `terminated` of the former container.
        waiting: The `waiting` of the container.
        restarts: The restarts.
        phase: The phase of the pod.
        told: The annotation of pod-lifecycle.
    """
    metadata: Object = {
        "namespace": NAMESPACE,
        "name": f"{NAME}-hash{version}-{name}",
        "uid": f"pod-{version}-{name}",
        "creationTimestamp": stamp(created),
        "labels": {"app": NAME, "pod-template-hash": f"hash{version}"},
        "ownerReferences": [{"kind": "ReplicaSet", "uid": f"rs-{version}", "controller": True}],
    }
    if told:
        metadata["annotations"] = {"pod-lifecycle.dev/status": told}
    if deleted is not None:
        metadata["deletionTimestamp"] = stamp(deleted + grace)
        metadata["deletionGracePeriodSeconds"] = grace
    conditions = []
    if scheduled is not None:
        conditions.append(
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": stamp(scheduled)}
        )
    conditions.append(
        {
            "type": "Ready",
            "status": "False" if ready is None else "True",
            "lastTransitionTime": stamp(created if ready is None else ready),
        }
    )
    state: Object = {}
    if waiting:
        state["waiting"] = waiting
    elif exit_code is not None:
        ending = {"exitCode": exit_code, "reason": reason, "finishedAt": stamp(ended)}
        state["terminated"] = ending | ({"signal": signal} if signal else {})
    elif running is not None:
        state["running"] = {"startedAt": stamp(running)}
    container: Object = {"name": "app", "state": state, "restartCount": restarts}
    if last:
        container["lastState"] = {"terminated": last}
    if running is not None or exit_code is not None or last:
        container["containerID"] = "containerd://1"
    status: Object = {"phase": phase, "conditions": conditions}
    if scheduled is not None:
        status["containerStatuses"] = [container]
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "app"}], "nodeName": "node-1"},
        "status": status,
    }


def ready_pod(name: str, version: str = "1", *, since: float = T0 - 500, **more: Any) -> Object:
    """Return a pod that has been ready for a while."""
    times = {"created": since - 5, "scheduled": since - 5, "running": since - 4, "ready": since}
    return pod(name, version, **(times | more))


def event(
    about: Object, reason: str, message: str = "a message", *, at: float = T0, name: str = ""
) -> Object:
    """Return an Event about a pod."""
    metadata = about["metadata"]
    return {
        "metadata": {"namespace": NAMESPACE, "name": name or f"{metadata['name']}.{reason}"},
        "involvedObject": {"kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]},
        "reason": reason,
        "message": message,
        "lastTimestamp": stamp(at),
    }


def endpoints(**ready: bool) -> Object:
    """Return an EndpointSlice with pods, each by what stands after the name of the Deployment."""
    return {
        "metadata": {"namespace": NAMESPACE, "name": "orders-x"},
        "endpoints": [
            {
                "conditions": {"ready": each},
                "targetRef": {"kind": "Pod", "name": f"{NAME}-{name.replace('_', '-')}"},
            }
            for name, each in ready.items()
        ],
    }

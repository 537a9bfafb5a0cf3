"""Pods, slices and events as an API server has them, for the tests of the server."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

Object = dict[str, Any]

NOW: Final = 1_790_000_000.0
HASH: Final = "7d9f6c5b8"
ANNOTATION: Final = "pod-lifecycle.dev/status"
REGISTERED: Final = "pod-lifecycle.dev/registered"


def stamp(at: float) -> str:
    """Return a time as the API server writes it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def told(state: str = "ready", since: float = NOW - 3600, **more: Any) -> str:
    """Return the annotation."""
    found = {
        "state": state,
        "since": since,
        "cause": state,
        "version": "0.2.0",
        "settle": 5,
        "grace": 30,
        "start": 3.2,
        "online": ["orders"],
        "offline": [],
    }
    return json.dumps(found | more)


def container(state: str = "running", restarts: int = 0, last: Object | None = None) -> Object:
    """
    Return the status of a container.

    Args:
        state: `running`, `waiting REASON`, or `ended CODE`.
        restarts: How often it was restarted.
        last: How it has ended before: what `ended` returns.
    """
    word, _, rest = state.partition(" ")
    found: Object = {"startedAt": stamp(NOW - 3600)}
    if word == "waiting":
        found = {"reason": rest}
    if word == "ended":
        word, found = "terminated", ended(int(rest))
    return {
        "name": "app",
        "restartCount": restarts,
        "state": {word: found},
        "lastState": {"terminated": last} if last else {},
    }


def ended(code: int, at: float = NOW - 60, reason: str = "") -> Object:
    """Return how a container has ended."""
    why = reason or ("Completed" if code == 0 else "Error")
    times = {"startedAt": stamp(at - 600), "finishedAt": stamp(at)}
    return {"exitCode": code, "reason": why, **times}


def pod(
    name: str = f"orders-{HASH}-abcde",
    namespace: str = "shop",
    *,
    annotation: str | None = "",
    ready: bool = True,
    status: Object | None = None,
    workload: tuple[str, str] | None = None,
    deleted: float = 0.0,
    gate: bool = False,
    node: str = "node-1",
    created: float = NOW - 7200,
    **state: Any,
) -> Object:
    """
    Return a pod.

    Args:
        name: Its name.
        namespace: Its namespace.
        annotation: What it tells. Empty for READY, and None for nothing.
        ready: Whether the kubelet takes it for ready.
        status: More of its status.
        workload: Kind and name of its owner. The default is a Deployment, from the name.
        deleted: When it must be gone, or 0.
        gate: Whether it has the readiness gate.
        node: Its node.
        created: When it was created.
        state: For `container`.
    """
    conditions = [{"type": "Ready", "status": str(ready)}]
    if gate:
        conditions.append({"type": REGISTERED, "status": str(ready)})
    kind, owner = workload or ("ReplicaSet", name.rpartition("-")[0])
    metadata: Object = {
        "namespace": namespace,
        "name": name,
        "creationTimestamp": stamp(created),
        "labels": {"app": owner, "pod-template-hash": owner.rpartition("-")[2]},
        "ownerReferences": [{"controller": True, "kind": kind, "name": owner}] if owner else [],
        "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}],
    }
    if annotation is not None:
        metadata["annotations"] = {ANNOTATION: annotation or told()}
    if deleted:
        metadata["deletionTimestamp"] = stamp(deleted)
    return {
        "metadata": metadata,
        "spec": {
            "nodeName": node,
            "containers": [{"name": "app", "image": "registry.example/orders:1"}],
            "readinessGates": [{"conditionType": REGISTERED}] if gate else [],
        },
        "status": {
            "phase": "Running",
            "conditions": conditions,
            "containerStatuses": [container(**state)],
        }
        | (status or {}),
    }


def piece(pods: dict[str, bool], name: str = "orders-x1", namespace: str = "shop") -> Object:
    """Return an EndpointSlice, from the names of pods, and whether each one is ready."""
    return {
        "metadata": {"namespace": namespace, "name": name},
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": ["10.0.0.1"],
                "conditions": {"ready": ready},
                "targetRef": {"kind": "Pod", "name": each, "namespace": namespace},
            }
            for each, ready in pods.items()
        ],
    }


def hook_failed(about: Object, at: float = NOW) -> Object:
    """Return the Event about a preStop hook of a pod that has failed."""
    metadata = about["metadata"]
    return {
        "metadata": {"namespace": metadata["namespace"], "name": f"{metadata['name']}.hook"},
        "involvedObject": {"kind": "Pod", "name": metadata["name"], "uid": metadata.get("uid")},
        "reason": "FailedPreStopHook",
        "message": "PreStopHook failed",
        "type": "Warning",
        "lastTimestamp": stamp(at),
    }

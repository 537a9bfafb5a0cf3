"""Objects of a cluster, for tests."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]
REVISION = "7d4b9c6f5"


def at(ago: float) -> str:
    """Return the timestamp of a moment so many seconds ago."""
    return datetime.fromtimestamp(time.time() - ago, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def told(state: str = "ready", ago: float = 65, **more: Any) -> str:
    """Return the annotation of a pod."""
    found = {
        "state": state,
        "since": time.time() - ago,
        "cause": state,
        "version": "0.2.0",
        "settle": 5,
        "grace": 30,
        "start": 3.2,
        "online": ["orders"],
        "offline": [],
        "qos_port": 22222,
    }
    return json.dumps(found | more)


def pod(
    name: str = "orders-7d4b9c6f5-x2x7q",
    *,
    namespace: str = "shop",
    workload: str = "orders",
    revision: str = REVISION,
    annotation: str | None = None,
    phase: str = "Running",
    ready: bool = True,
    state: Mapping[str, Any] | None = None,
    last: Mapping[str, Any] | None = None,
    restarts: int = 0,
    deleted: bool = False,
    container: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Object:
    """Return a pod of a Deployment."""
    own = {"app": workload, "pod-template-hash": revision}
    metadata: Object = {
        "namespace": namespace,
        "name": name,
        "uid": f"uid-{name}",
        "creationTimestamp": at(120),
        "labels": own | dict(labels or {}),
        "annotations": {"pod-lifecycle.dev/status": annotation} if annotation else {},
        "ownerReferences": [
            {"kind": "ReplicaSet", "name": f"{workload}-{revision}", "controller": True}
        ],
    }
    if deleted:
        metadata["deletionTimestamp"] = at(-30)
    status = {
        "name": "app",
        "restartCount": restarts,
        "state": state or {"running": {"startedAt": at(100)}},
        "lastState": {"terminated": last} if last else {},
    }
    return {
        "metadata": metadata,
        "spec": {"nodeName": "node-a", "containers": [{"name": "app"} | dict(container or {})]},
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [status],
        },
    }


def ended(code: int, reason: str = "Error", ago: float = 60) -> Object:
    """Return how a container has ended."""
    return {
        "exitCode": code,
        "reason": reason,
        "startedAt": at(ago + 600),
        "finishedAt": at(ago),
    }


def deployment(name: str = "orders", namespace: str = "shop", **spec: Any) -> Object:
    """Return a Deployment that selects its pods by the label `app`."""
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"selector": {"matchLabels": {"app": name}}} | spec,
    }


def piece(
    pods: Mapping[str, bool], *, service: str = "orders", name: str = "", namespace: str = "shop"
) -> Object:
    """Return an EndpointSlice of a Service with pods, and whether each is ready."""
    return {
        "metadata": {
            "namespace": namespace,
            "name": name or f"{service}-abc",
            "labels": {"kubernetes.io/service-name": service},
        },
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


def hook_failed(pod_name: str, namespace: str = "shop", ago: float = 60) -> Object:
    """Return the Event of a preStop hook that has failed."""
    return {
        "metadata": {"namespace": namespace, "name": f"{pod_name}.hook"},
        "involvedObject": {
            "kind": "Pod",
            "namespace": namespace,
            "name": pod_name,
            "uid": f"uid-{pod_name}",
        },
        "reason": "FailedPreStopHook",
        "lastTimestamp": at(ago),
    }


def fleet() -> Sequence[tuple[str, Object]]:
    """Return a small fleet: each plural, and an object."""
    names = [f"orders-7d4b9c6f5-{each}" for each in ("x2x7q", "9lk4m", "zz8wp")]
    old = "orders-5b8f7c9d4-qq2vx"
    crash = {"waiting": {"reason": "CrashLoopBackOff"}}
    return [
        ("pods", pod(names[0], annotation=told(ago=3725))),
        ("pods", pod(names[1], annotation=told(ago=65, online=["orders"], offline=["admin"]))),
        ("pods", pod(names[2], annotation=told("starting", 4, start=None), ready=False)),
        (
            "pods",
            pod(
                old,
                revision="5b8f7c9d4",
                annotation=told("draining", 12, cause="SIGTERM", online=[]),
                ready=False,
                deleted=True,
            ),
        ),
        (
            "pods",
            pod(
                "billing-66c5d4-aaaaa",
                workload="billing",
                revision="66c5d4",
                annotation=told(),
                restarts=3,
                last=ended(124),
            ),
        ),
        (
            "pods",
            pod(
                "billing-66c5d4-bbbbb",
                workload="billing",
                revision="66c5d4",
                annotation=told(),
                restarts=17,
                ready=False,
                state=crash,
                last=ended(137, "OOMKilled"),
            ),
        ),
        ("pods", pod("foreign-1", workload="foreign", revision="abc")),
        ("endpointslices", piece({names[0]: True, names[1]: True, names[2]: False, old: False})),
        (
            "endpointslices",
            piece({"billing-66c5d4-aaaaa": True, "billing-66c5d4-bbbbb": False}, service="billing"),
        ),
        ("events", hook_failed(old, ago=5)),
    ]

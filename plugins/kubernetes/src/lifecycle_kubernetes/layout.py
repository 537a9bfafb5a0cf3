"""The values on the pod: the condition of its readiness gate, and the annotation for Dubbo."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import lifecycle
from lifecycle_kubernetes.status import STATUS

REGISTERED: Final = "pod-lifecycle.dev/registered"
"""The condition of the readiness gate. `lifecycle manifests` uses the same name."""
ANNOTATION: Final = "io.dubbo/metadata"
"""The annotation in which a Dubbo client on Kubernetes finds the metadata of an instance."""

Object = dict[str, Any]


def annotation(instances: Iterable[lifecycle.Instance], at: float) -> str:
    """
    Return the value of the annotation, a JSON object with only strings as values.

    The metadata of the services is next to the keys of Dubbo. If two services have the same key,
    that of the first service counts. A Dubbo client uses the first endpoint of a protocol for any
    service. So a protocol on several ports is left out, and the client then uses the port of the
    Kubernetes Service.

    Args:
        instances: The registered services.
        at: The time of the registration, in seconds since the epoch.
    """
    each = sorted(instances, key=lambda instance: instance.service)
    ports: dict[str, set[int]] = {}
    for one in each:
        if one.port is not None:
            ports.setdefault(one.protocol, set()).add(one.port)
    endpoints = [
        {"port": min(of), "protocol": protocol} for protocol, of in ports.items() if len(of) == 1
    ]
    metadata: dict[str, str] = {}
    for one in each:
        for key, value in one.metadata.items():
            metadata.setdefault(key, str(value))
    told = [[one.service, one.port, one.protocol, one.version] for one in each]
    revision = hashlib.md5(
        json.dumps([told, metadata], sort_keys=True).encode(), usedforsecurity=False
    )
    return json.dumps(
        {
            **metadata,
            "dubbo.endpoints": json.dumps(endpoints, separators=(",", ":")),
            "dubbo.metadata.revision": revision.hexdigest(),
            "timestamp": str(int(at * 1000)),
        }
    )


def patch(
    uid: str, instances: Iterable[lifecycle.Instance], at: float, status: str | None = None
) -> Object:
    """
    Return the patch of `pods/status`, which sets condition and annotations in one request.

    Args:
        uid: The uid of this pod, so that another pod of the same name is not changed.
        instances: The services to register. If empty, the pod is deregistered.
        at: The time of the registration, in seconds since the epoch.
        status: The value of the annotation with the state of the app. None leaves it unchanged.
    """
    each = list(instances)
    reported = {} if status is None else {STATUS: status}
    moment = datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "metadata": {
            "uid": uid,
            "annotations": {ANNOTATION: annotation(each, at) if each else None, **reported},
        },
        "status": {
            "conditions": [
                {
                    "type": REGISTERED,
                    "status": "True" if each else "False",
                    "reason": "Registered" if each else "Deregistered",
                    "message": ", ".join(sorted(one.service for one in each)),
                    "lastTransitionTime": moment,
                }
            ]
        },
    }


def is_set(pod: Mapping[str, Any]) -> bool:
    """Return True if the condition of the readiness gate is true."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == REGISTERED and each["status"] == "True" for each in conditions)


def is_annotated(pod: Mapping[str, Any]) -> bool:
    """Return True if the annotation exists."""
    return ANNOTATION in (pod["metadata"].get("annotations") or {})


def lost(pod: Mapping[str, Any], uid: str) -> str:
    """Return why a pod is no longer registered. Empty while it is registered."""
    if pod["metadata"].get("uid") != uid:
        return "another pod has this pod's name"
    if not is_set(pod):
        return f"the condition {REGISTERED} is no longer true"
    if not is_annotated(pod):
        return f"the annotation {ANNOTATION} is gone"
    return ""

"""What is written onto the pod: the condition of its readiness gate, and Dubbo's annotation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import lifecycle

REGISTERED: Final = "pod-lifecycle.dev/registered"
"""The condition of the readiness gate; `lifecycle manifests` writes the same name."""
ANNOTATION: Final = "io.dubbo/metadata"
"""Where a Dubbo consumer on the Kubernetes registry reads an instance's metadata."""

Object = dict[str, Any]


def annotation(instances: Iterable[lifecycle.Instance], at: float) -> str:
    """
    Return the annotation's value: a JSON object whose values are all strings.

    What a service carries as metadata stands beside Dubbo's own keys; of two services that
    carry the same key, the first one's is taken. A consumer takes the first endpoint of a
    protocol for any service: a protocol on several ports is left out, and it takes the
    port of the Kubernetes Service.

    Args:
        instances: What is registered.
        at: Since when, in seconds since the epoch.
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


def patch(uid: str, instances: Iterable[lifecycle.Instance], at: float) -> Object:
    """
    Return the patch of `pods/status` that makes it so: condition and annotation in one.

    Args:
        uid: Of our own pod, so that another one of its name is left alone.
        instances: What is to be registered; nothing: the pod is taken out.
        at: Since when, in seconds since the epoch.
    """
    each = list(instances)
    moment = datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "metadata": {
            "uid": uid,
            "annotations": {ANNOTATION: annotation(each, at) if each else None},
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
    """Tell whether the condition of the readiness gate is true."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == REGISTERED and each["status"] == "True" for each in conditions)


def is_annotated(pod: Mapping[str, Any]) -> bool:
    """Tell whether the annotation is there."""
    return ANNOTATION in (pod["metadata"].get("annotations") or {})


def lost(pod: Mapping[str, Any], uid: str) -> str:
    """Say why a registered pod is registered no more; empty while it is."""
    if pod["metadata"].get("uid") != uid:
        return "another pod has this pod's name"
    if not is_set(pod):
        return f"the condition {REGISTERED} is no longer true"
    if not is_annotated(pod):
        return f"the annotation {ANNOTATION} is gone"
    return ""

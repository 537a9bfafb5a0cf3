"""The changes of a Deployment: to restart, pause, resume and undo it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from lifecycle_fleet.rollout import workload
from lifecycle_fleet.rollout.workload import REVISION

Object = Mapping[str, Any]
Patch = dict[str, Any]

RESTARTED: Final = "kubectl.kubernetes.io/restartedAt"
KEPT: Final = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        "deployment.kubernetes.io/revision-history",
        "deployment.kubernetes.io/desired-replicas",
        "deployment.kubernetes.io/max-replicas",
        "deprecated.deployment.rollback.to",
    }
)
"""The annotations of a Deployment that an undo does not change."""


def restart(at: float) -> Patch:
    """Return what `kubectl rollout restart` changes at a moment, in seconds since the epoch."""
    when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"spec": {"template": {"metadata": {"annotations": {RESTARTED: when}}}}}


def pause(*, paused: bool) -> Patch:
    """Return what `kubectl rollout pause` or `kubectl rollout resume` changes."""
    return {"spec": {"paused": paused}}


def undo(deployment: Object, replica_set: Object) -> Patch:
    """
    Return what `kubectl rollout undo` changes, and resume the Deployment with it.

    Args:
        deployment: The Deployment. The API server refuses the patch if it has another version now.
        replica_set: The ReplicaSet of the revision to return to.
    """
    metadata = deployment["metadata"]
    current = metadata.get("annotations") or {}
    former = replica_set["metadata"].get("annotations") or {}
    wanted = {name: value for name, value in current.items() if name in KEPT}
    wanted |= {name: value for name, value in former.items() if name not in KEPT}
    return {
        "metadata": {
            "resourceVersion": metadata["resourceVersion"],
            "annotations": merge(current, wanted),
        },
        "spec": {
            "paused": False,
            "template": merge(deployment["spec"]["template"], workload.template(replica_set)),
        },
    }


def merge(old: Object, new: Object) -> Patch:
    """Return the JSON merge patch (RFC 7396) that makes the old value the new one."""
    found: Patch = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if part := merge(before, value):
                found[name] = part
        elif before != value or name not in old:
            found[name] = value
    return found


def command(where: str, name: str, *, undo: bool) -> str:
    """
    Return the commands that a person runs if this program cannot.

    Args:
        where: The options that name the cluster and the namespace.
        name: The name of the Deployment.
        undo: Whether to undo the rollout too.
    """
    kubectl, target = f"kubectl {where} rollout", f"deployment/{name}"
    resume = f"{kubectl} resume {target}"
    return f"{resume} && {kubectl} undo {target}" if undo else resume

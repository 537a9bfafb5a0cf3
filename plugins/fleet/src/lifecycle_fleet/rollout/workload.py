"""A Deployment and its ReplicaSets in a rollout. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

Object = Mapping[str, Any]

HASH: Final = "pod-template-hash"
"""The label that names the revision of a pod."""
REVISION: Final = "deployment.kubernetes.io/revision"
DEADLINE: Final = 600.0
"""The default of progressDeadlineSeconds."""
NEVER: Final = 2**31 - 1
"""The progressDeadlineSeconds that means that there is none."""
GRACE: Final = 30.0
"""The default of terminationGracePeriodSeconds."""
RECREATE: Final = "Recreate"
COMPLETE: Final = "NewReplicaSetAvailable"
EXCEEDED: Final = "ProgressDeadlineExceeded"
QUARTER: Final = "25%"
"""The default of maxSurge and of maxUnavailable."""


def owned(found: Object, owner: Object) -> bool:
    """Tell whether an object is controlled by another one."""
    return controller(found) == str(owner["metadata"].get("uid", ""))


def controller(found: Object) -> str:
    """Return the uid of the object that controls another one, or empty."""
    for each in found["metadata"].get("ownerReferences") or ():
        if each.get("controller"):
            return str(each.get("uid", ""))
    return ""


def replicas(found: Object) -> int:
    """Return the replicas in the spec of a Deployment or a ReplicaSet."""
    given = found["spec"].get("replicas")
    return 1 if given is None else int(given)


def surge(deployment: Object) -> int:
    """Return how many pods more than desired may exist."""
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    return _share(rolling.get("maxSurge", QUARTER), replicas(deployment), math.ceil)


def unavailable(deployment: Object) -> int:
    """Return how many pods fewer than desired may be available. One, if both limits are 0."""
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    given = rolling.get("maxUnavailable", QUARTER)
    found = _share(given, replicas(deployment), math.floor)
    return found or (0 if surge(deployment) else 1)


def _share(given: object, whole: int, rounded: Any) -> int:
    text = str(given)
    if text.endswith("%"):
        return int(rounded(whole * int(text[:-1]) / 100))
    return int(text)


def recreates(deployment: Object) -> bool:
    """Tell whether all old pods exit before the first new pod starts."""
    return (deployment["spec"].get("strategy") or {}).get("type") == RECREATE


def is_paused(deployment: Object) -> bool:
    """Tell whether a Deployment is paused."""
    return bool(deployment["spec"].get("paused"))


def deadline(deployment: Object) -> float:
    """Return the seconds without progress after which the controller gives up."""
    given = deployment["spec"].get("progressDeadlineSeconds")
    return DEADLINE if given is None or given >= NEVER else float(given)


def grace(template: Object) -> float:
    """Return the grace period of the pods of a template, in seconds."""
    given = (template.get("spec") or {}).get("terminationGracePeriodSeconds")
    return GRACE if given is None else float(given)


def observed(deployment: Object) -> bool:
    """Tell whether the controller has seen the current spec of a Deployment."""
    status = deployment.get("status") or {}
    seen = int(status.get("observedGeneration") or 0)
    return seen >= int(deployment["metadata"].get("generation") or 0)


def condition(deployment: Object, name: str) -> tuple[str, str, str]:
    """Return status, reason and message of a condition, each empty without it."""
    for each in (deployment.get("status") or {}).get("conditions") or ():
        if each.get("type") == name:
            return str(each["status"]), str(each.get("reason", "")), str(each.get("message", ""))
    return "", "", ""


def missing(deployment: Object) -> list[str]:
    """Return what the controller has yet to do, in words. As `kubectl rollout status` counts."""
    status, wanted = deployment.get("status") or {}, replicas(deployment)
    updated = int(status.get("updatedReplicas") or 0)
    available = int(status.get("availableReplicas") or 0)
    old = int(status.get("replicas") or 0) - updated
    if not observed(deployment):
        return ["the controller has not seen the change yet"]
    found = []
    if updated < wanted:
        found.append(f"{updated} of {wanted} pods are created")
    if old > 0:
        found.append(f"{old} old {'pods are' if old > 1 else 'pod is'} to be deleted")
    if available < updated:
        found.append(f"{available} of {updated} new pods are available")
    return found


def template(replica_set: Object) -> dict[str, Any]:
    """Return the template of a ReplicaSet as its Deployment had it."""
    found = dict(replica_set["spec"].get("template") or {})
    metadata = dict(found.get("metadata") or {})
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name != HASH}
    metadata["labels"] = labels
    return found | {"metadata": metadata if labels else _without(metadata, "labels")}


def _without(found: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != name}


def newest(deployment: Object, replica_sets: Iterable[Object]) -> Object | None:
    """
    Return the ReplicaSet of the current template, or None if there is none yet.

    As the controller does it: the oldest one whose template is the same.
    """
    wanted = _comparable(deployment["spec"]["template"])
    found = [each for each in replica_sets if _comparable(template(each)) == wanted]
    return min(found, key=_age, default=None)


def _comparable(given: Object) -> Object:
    """Return a template for a comparison: `creationTimestamp: null` counts as absent."""
    metadata = given.get("metadata") or {}
    return dict(given) | {"metadata": {name: each for name, each in metadata.items() if each}}


def same(one: Object, other: Object) -> bool:
    """Tell whether two templates are the same."""
    return _comparable(one) == _comparable(other)


def _age(replica_set: Object) -> tuple[str, str]:
    metadata = replica_set["metadata"]
    return str(metadata.get("creationTimestamp", "")), str(metadata["name"])


def former(current: Object | None, replica_sets: Iterable[Object]) -> Object | None:
    """
    Return the ReplicaSet that `kubectl rollout undo` returns to: the highest revision but the current.

    Args:
        current: The ReplicaSet of the current template. None if there is none yet.
        replica_sets: Those of the Deployment.
    """
    others = [each for each in replica_sets if current is None or _uid(each) != _uid(current)]
    return max(others, key=revision, default=None)


def _uid(found: Object) -> str:
    return str(found["metadata"].get("uid", ""))


def revision(found: Object) -> int:
    """Return the revision of a ReplicaSet or a Deployment, or 0."""
    text = str((found["metadata"].get("annotations") or {}).get(REVISION, ""))
    return int(text) if text.isascii() and text.isdecimal() else 0

"""The pods of a version and how they behave, and what the fake controller reads of objects."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from plugins.fleet.tests.api_objects import Object

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"


class Behaviour(NamedTuple):
    """
    What happens to the pods of one version.

    Attributes:
        start: The seconds until they are ready. None for never.
        drain: The seconds until they exit, once they are deleted.
        code: Their exit code.
        crash: The code with which they exit again and again. None for never.
        image: Whether their image can be pulled.
        hook: Whether their preStop hook succeeds.
        told: Whether the kubelet tells how they exited.
    """

    start: float | None = 0.1
    drain: float = 0.1
    code: int = 0
    crash: int | None = None
    image: bool = True
    hook: bool = True
    told: bool = True


def version_of(spec: Object) -> str:
    """Return the version of a pod."""
    return str(spec["containers"][0]["image"]).rpartition(":")[2]


def owner_reference(kind: str, owner: Object) -> Object:
    metadata = owner["metadata"]
    return {"kind": kind, "name": metadata["name"], "uid": metadata["uid"], "controller": True}


def plain_template(replica_set: Object) -> Object:
    found = copy.deepcopy(replica_set["spec"]["template"])
    found["metadata"]["labels"].pop(HASH, None)
    return found


def wanted_template(found: Object) -> Object:
    return found["spec"]["template"]


def revision_of(replica_set: Object) -> int:
    return int(replica_set["metadata"]["annotations"][REVISION])


def limits_of(found: Object) -> tuple[int, int, int]:
    rolling, wanted = found["spec"]["strategy"]["rollingUpdate"], found["spec"]["replicas"]

    def share(given: Any, rounded: Callable[[float], int]) -> int:
        text = str(given)
        return rounded(wanted * int(text[:-1]) / 100) if text.endswith("%") else int(text)

    surge, unavailable = (
        share(rolling["maxSurge"], math.ceil),
        share(rolling["maxUnavailable"], math.floor),
    )
    return wanted, surge, unavailable or (0 if surge else 1)


def is_ready(pod: Object) -> bool:
    if "deletionTimestamp" in pod["metadata"]:
        return False
    conditions = pod["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

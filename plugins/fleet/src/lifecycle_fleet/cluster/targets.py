"""The pod that a person names, or the workload with its pods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from lifecycle_fleet.cluster.api import Api, Object
from lifecycle_fleet.cluster.failures import NOT_FOUND
from lifecycle_fleet.cluster.kinds import (
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    POD,
    REPLICA_SET,
    STATEFUL_SET,
    Kind,
)
from lifecycle_fleet.errors import ApiServerError, TargetError
from lifecycle_fleet.options import NAME
from lifecycle_fleet.view.pod import SHORT, condition, owner
from lifecycle_fleet.view.told import one_line

KINDS: Final[Mapping[str, Kind]] = {
    "pod": POD,
    "po": POD,
    "deployment": DEPLOYMENT,
    "deploy": DEPLOYMENT,
    "statefulset": STATEFUL_SET,
    "sts": STATEFUL_SET,
    "daemonset": DAEMON_SET,
    "ds": DAEMON_SET,
    "replicaset": REPLICA_SET,
    "rs": REPLICA_SET,
    "job": JOB,
}
"""The names of kinds that kubectl has too, without the plural and the group."""


class Target(NamedTuple):
    """
    The object that a person names.

    Attributes:
        kind: The kind.
        name: The name.
    """

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{SHORT.get(self.kind.name, self.kind.name.lower())}/{self.name}"


def target_of(text: str) -> Target:
    """
    Return the target of `NAME` or `KIND/NAME`.

    Raises:
        TargetError: The text is neither, or there is no such kind.
    """
    kind_name, slash, name = text.rpartition("/")
    word = kind_name.lower().partition(".")[0]  # deployment.apps
    kind = KINDS.get(word) or KINDS.get(word.removesuffix("s")) if slash else POD
    if kind is None:
        raise TargetError(
            f"{one_line(kind_name)!r} is not a kind with pods. Use a pod, or "
            f"{', '.join(f'{each}/NAME' for each in SHORT_KINDS)}"
        )
    if not NAME.fullmatch(name):
        raise TargetError(f"{one_line(text)!r} is not the name of a pod, or KIND/NAME")
    return Target(kind, name)


SHORT_KINDS: Final = ("deploy", "sts", "ds", "rs", "job")


async def named(api: Api, namespace: str, target: Target) -> Object:
    """
    Return the object that is named.

    Raises:
        TargetError: There is no such object.
    """
    try:
        return await api.get(target.kind, namespace, target.name)
    except ApiServerError as error:
        if error.state != NOT_FOUND:
            raise
        raise TargetError(await _missing(api, namespace, target)) from None


async def pods_of(api: Api, namespace: str, target: Target) -> list[Object]:
    """
    Return the pods of a target, sorted by name. There is at least one.

    Raises:
        TargetError: There is no such pod or workload, or it has no pods.
    """
    found = await named(api, namespace, target)
    if target.kind == POD:
        return [found]
    _, pods = await api.list(POD, namespace, labels=selector(found))
    own = [each for each in pods if owner(each["metadata"])[0] == str(target)]
    if not own:
        raise TargetError(f"{target} has no pods in the namespace {namespace}")
    return sorted(own, key=lambda each: str(each["metadata"]["name"]))


async def one_pod(api: Api, namespace: str, target: Target) -> tuple[Object, int]:
    """Return the pod of a target, or the best one of several, and their number."""
    pods = await pods_of(api, namespace, target)
    return max(pods, key=_usefulness), len(pods)


def _usefulness(pod: Object) -> tuple[bool, bool, bool]:
    """Return a larger value for a pod that is ready, that runs, and that stays. The first one wins."""
    stays = not pod["metadata"].get("deletionTimestamp")
    running = (pod.get("status") or {}).get("phase") == "Running"
    return condition(pod, "Ready") == "True", running, stays


def selector(workload: Object) -> str:
    """Return the label selector of a workload, as kubectl writes it."""
    found = (workload.get("spec") or {}).get("selector") or {}
    terms = [f"{name}={value}" for name, value in (found.get("matchLabels") or {}).items()]
    terms += [
        _expression(each["key"], each["operator"], each.get("values") or ())
        for each in found.get("matchExpressions") or ()
    ]
    return ",".join(terms)


def _expression(key: str, operator: str, values: Sequence[str]) -> str:
    if operator == "Exists":
        return key
    if operator == "DoesNotExist":
        return f"!{key}"
    return f"{key} {operator.lower()} ({','.join(values)})"


async def _missing(api: Api, namespace: str, target: Target) -> str:
    problem = f"there is no {target} in the namespace {namespace}"
    try:
        _, others = await api.list(target.kind, namespace)
    except ApiServerError:
        return problem
    names: list[Any] = [str(each["metadata"]["name"]) for each in others]
    near = get_close_matches(target.name, names, 1, 0.6)
    if near:
        return f"{problem}. Did you mean {target._replace(name=near[0])}?"
    return f"{problem}. To use another namespace, pass -n"

"""Which Services would have no pod left, if some pods were taken offline. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from lifecycle_fleet.view.endpoints import is_found
from lifecycle_fleet.view.pod import told_now
from lifecycle_fleet.view.told import MORE

Object = Mapping[str, Any]

SERVICE: Final = "kubernetes.io/service-name"
"""The label of an EndpointSlice that names its Service."""
LEAVING: Final = ("draining", "stopped", "failed")
"""The states of an app that no client should find any more."""


def stays_in_traffic(pod: Object, pattern: str) -> bool:
    """
    Tell whether a pod stays ready, because an app service is online that the pattern does not match.

    Services that the annotation does not name, or whose names it cuts, may match the pattern too.

    Args:
        pod: The pod.
        pattern: The pattern of the app services that are taken offline, for example `orders*`.
    """
    told = told_now(pod)
    whole = (each for each in told.online if not each.endswith(MORE)) if told is not None else ()
    return any(not fnmatchcase(each, pattern) for each in whole)


def leaves_traffic(pod: Object) -> bool:
    """Tell whether a pod is on its way out of the slices, whatever they still show."""
    told = told_now(pod)
    leaving = bool(pod["metadata"].get("deletionTimestamp"))
    return leaving or (told is not None and (told.is_offline or told.state in LEAVING))


def without_pods(
    slices: Iterable[Object], taken: Collection[str], leaving: Collection[str]
) -> dict[str, list[str]]:
    """
    Return the Services that would have no ready endpoint, each with the pods that it would lose.

    Args:
        slices: The EndpointSlices of a namespace.
        taken: The names of the pods to take offline.
        leaving: The names of the pods that are on their way out of the slices.
    """
    lost: dict[str, list[str]] = {}
    left: set[str] = set()
    for service, name in ready_endpoints(slices):
        if name in taken:
            lost.setdefault(service, []).append(name)
        elif name not in leaving:
            left.add(service)
    return {
        service: sorted({*pods}) for service, pods in sorted(lost.items()) if service not in left
    }


def ready_endpoints(slices: Iterable[Object]) -> Iterator[tuple[str, str]]:
    """Yield the Service and the pod of each ready endpoint. The pod is empty if it is not a pod."""
    for each in slices:
        labels = each["metadata"].get("labels") or {}
        service = str(labels.get(SERVICE) or each["metadata"]["name"])
        for endpoint in each.get("endpoints") or ():
            if not is_found(endpoint):
                continue
            target = endpoint.get("targetRef") or {}
            yield service, str(target.get("name", "")) if target.get("kind") == "Pod" else ""

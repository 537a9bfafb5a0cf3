"""Which Services would have no pod left, if some pods were taken offline. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from lifecycle_fleet.view.told import read

Object = Mapping[str, Any]

SERVICE: Final = "kubernetes.io/service-name"
"""The label of an EndpointSlice that names its Service."""
LEAVING: Final = ("draining", "stopped", "failed")
"""The states of an app that no client should find any more."""


def stays_in_traffic(pod: Object, pattern: str) -> bool:
    """
    Tell whether a pod stays ready, because an app service is online that the pattern does not match.

    Args:
        pod: The pod.
        pattern: The pattern of the app services that are taken offline, for example `orders*`.
    """
    told = read(pod["metadata"])
    return told is not None and any(not fnmatchcase(each, pattern) for each in told.online)


def leaves_traffic(pod: Object) -> bool:
    """Tell whether a pod is on its way out of the slices, whatever they still show."""
    told = read(pod["metadata"])
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
    for each in slices:
        service = str(
            (each["metadata"].get("labels") or {}).get(SERVICE) or each["metadata"]["name"]
        )
        for endpoint in each.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            target = endpoint.get("targetRef") or {}
            name = str(target.get("name", "")) if target.get("kind") == "Pod" else ""
            if name in taken:
                lost.setdefault(service, []).append(name)
            elif name not in leaving:
                left.add(service)
    return {
        service: sorted({*pods}) for service, pods in sorted(lost.items()) if service not in left
    }

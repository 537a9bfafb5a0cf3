"""
The init containers of a pod, and its native sidecars, which are init containers too. Pure.

An init container with `restartPolicy: Always` is a native sidecar. It keeps running next to the app.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lifecycle_fleet.view.told import one_line

Object = Mapping[str, Any]

INITIALIZING: Final = "PodInitializing"
"""The reason of the containers that wait for the init containers."""
NORMAL: Final = ("ContainerCreating", INITIALIZING)
"""The reasons for which a container waits in each start."""
PREFIX: Final = "Init:"
"""The prefix that kubectl writes before the reason of an init container."""


def restarts(pod: Object) -> int:
    """
    Return how often the containers of a pod were restarted, as kubectl counts.

    Those of native sidecars count, and while a pod initializes, those of all init containers.
    """
    status = pod.get("status") or {}
    found = (*(status.get("containerStatuses") or ()), *_counted(pod))
    return sum(int(each.get("restartCount") or 0) for each in found)


def trouble(pod: Object) -> tuple[str, str]:
    """Return the reason why a pod does not initialize, and when its init container has ended."""
    for each in _statuses(pod) if _initializes(pod) else ():
        if reason := _waits(each):
            return f"{PREFIX}{one_line(reason)}", ""
        ended = _ended(each)
        if code := ended.get("exitCode"):
            reason = str(ended.get("reason") or f"ExitCode:{code}")
            return f"{PREFIX}{one_line(reason)}", str(ended.get("finishedAt") or "")
    return "", ""


def trouble_of_sidecars(pod: Object) -> str:
    """Return the reason why a native sidecar does not run, or empty."""
    return next((one_line(found) for each in _sidecars(pod) if (found := _waits(each))), "")


def needed(pod: Object) -> list[Object]:
    """Return the statuses of init containers that `restarts` and the others need."""
    return [
        each
        for each in _counted(pod)
        if each.get("restartCount") or _waits(each) or _ended(each).get("exitCode")
    ]


def names_of_sidecars(pod: Object) -> set[str]:
    """Return the names of the native sidecars."""
    return {
        str(each.get("name"))
        for each in (pod.get("spec") or {}).get("initContainers") or ()
        if each.get("restartPolicy") == "Always"
    }


def _counted(pod: Object) -> Iterator[Object]:
    return iter(_statuses(pod)) if _initializes(pod) else _sidecars(pod)


def _sidecars(pod: Object) -> Iterator[Object]:
    names = names_of_sidecars(pod)
    return (each for each in _statuses(pod) if each.get("name") in names)


def _statuses(pod: Object) -> tuple[Object, ...]:
    return tuple((pod.get("status") or {}).get("initContainerStatuses") or ())


def _initializes(pod: Object) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return any(_reason(each) == INITIALIZING for each in statuses)


def _waits(status: Object) -> str:
    """Return the reason for which an init container waits, if not each start has it."""
    reason = _reason(status)
    return "" if reason in NORMAL else reason


def _reason(status: Object) -> str:
    return str(((status.get("state") or {}).get("waiting") or {}).get("reason") or "")


def _ended(status: Object) -> Object:
    found: Object = (status.get("state") or {}).get("terminated") or {}
    return found

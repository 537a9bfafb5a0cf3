"""One pod as JSON: `ls -o json`, `/pods.json` and the page have the same form. Pure."""

from __future__ import annotations

from typing import Any, Final

from lifecycle_fleet.view.kind import kind_of
from lifecycle_fleet.view.pod import Drained, PodView

GOOD_CODES: Final = (0, 143)
"""The exit codes of a container that has ended as it should, by itself or by SIGTERM."""


def record(pod: PodView, problem: str = "") -> dict[str, Any]:
    """
    Return a pod as JSON.

    All names are always there. Times are in seconds since the epoch, and 0 if they are not known.

    Args:
        pod: The pod.
        problem: The problem of the pod, or empty.
    """
    told = pod.told
    return {
        "namespace": pod.namespace,
        "name": pod.name,
        "uid": pod.uid,
        "node": pod.node,
        "workload": pod.workload,
        "revision": pod.revision,
        "kind": kind_of(pod),
        "state": pod.state,
        "since": pod.since,
        "problem": problem,
        "ready": pod.ready,
        "registered": pod.registered,
        "in_slices": pod.in_slices,
        "restarts": pod.restarts,
        "leaving": pod.leaving,
        "told": None
        if told is None
        else {
            "state": told.state,
            "since": told.since,
            "cause": told.cause,
            "version": told.version,
            "settle": told.settle,
            "grace": told.grace,
            "start": told.start,
            "online": list(told.online),
            "offline": list(told.offline),
        },
        "last_end": None
        if pod.drained is None
        else {
            "how": how(pod.drained),
            "exit_code": pod.drained.exit_code,
            "at": pod.drained.at,
            "reason": pod.drained.reason,
        },
        "hook_failed": pod.hook_failed,
    }


def how(last: Drained) -> str:
    """Return how a container has ended: `clean`, `cut off`, `killed` or `failed`."""
    if last.killed:
        return "killed"
    if last.cut_off:
        return "cut off"
    return "clean" if last.exit_code in GOOD_CODES else "failed"

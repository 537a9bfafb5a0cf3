"""
The problem of a pod, in one sentence. Pure.

`lifecycle fleet why` finds causes. This module only decides which pods need attention.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from lifecycle_fleet.view.pod import GONE, PodView

NORMAL: Final = ("ContainerCreating", "PodInitializing")
"""The reasons for which a container waits in each start."""
GOOD: Final = ("running", "terminating", "Completed", "succeeded")
"""The states of a pod without the annotation in which nothing is wrong."""
PENDING: Final = 120.0
"""Seconds that a pod may wait for a node, an image or its first container."""
LAG: Final = 15.0
"""Seconds in which the kubelet and the EndpointSlices follow the state of an app."""
GRACE: Final = 30.0
"""The grace period of an app that does not tell its own, in seconds."""
MARGIN: Final = 10.0
"""Seconds after the grace period until a pod must be gone."""
START: Final = 600.0
"""Seconds that a start may take."""
RECENT: Final = 3600.0
"""Seconds for which a container that ended badly is shown."""


class Problem(NamedTuple):
    """
    The problem of a pod.

    Attributes:
        text: One sentence without its end. Empty if nothing is wrong.
        until: When the answer may change without a change of the pod, in seconds since the epoch.
    """

    text: str
    until: float = math.inf


def problem(pod: PodView, now: float, hook_failed: float = 0.0) -> Problem:
    """
    Return what is wrong with a pod.

    Args:
        pod: The pod.
        now: The time, in seconds since the epoch.
        hook_failed: When the preStop hook of the pod has failed, or 0 if it has not.
    """
    found = _of_state(pod, now)
    if found.text:
        return found
    last = _of_last_end(pod, now, hook_failed)
    return Problem(last.text, min(found.until, last.until))


def _of_state(pod: PodView, now: float) -> Problem:
    state = pod.state
    if state == GONE:
        return Problem("")
    if pod.leaving or state == "draining":
        return _of_leaving(pod, now)
    if pod.current is not None:
        return _of_app(pod, now)
    if state in (*NORMAL, "pending"):
        return _after(pod.since + PENDING, now, "does not start")
    return Problem("" if state in GOOD else state)


def _of_leaving(pod: PodView, now: float) -> Problem:
    grace = (pod.told.grace if pod.told is not None else None) or GRACE
    deadline = pod.deadline if pod.leaving else pod.since + grace
    return _after(deadline + MARGIN, now, "is still there after its grace period")


def _of_app(pod: PodView, now: float) -> Problem:
    told = pod.current
    if pod.state == "failed":
        return Problem(f"failed: {told.cause}" if told is not None and told.cause else "failed")
    if pod.state not in ("ready", "stopped"):
        return _after(pod.since + START, now, "does not become ready")
    if pod.state == "stopped" or (told is not None and told.is_offline):
        return Problem("")
    return _of_ready(pod, now)


def _of_ready(pod: PodView, now: float) -> Problem:
    if not pod.ready:
        return _after(pod.since + LAG, now, "the app is ready, but the pod is not")
    if pod.in_slices == "no":
        return _after(pod.since + LAG, now, "is ready, but clients do not find it")
    return Problem("")


def _of_last_end(pod: PodView, now: float, hook_failed: float) -> Problem:
    if hook_failed:
        return _until(hook_failed + RECENT, now, "the preStop hook failed")
    last = pod.drained
    if last is None:
        return Problem("")
    if last.killed:
        why = f" ({last.reason})" if last.reason not in ("", "Error") else ""
        return _until(last.at + RECENT, now, f"the last container was killed{why}")
    if last.cut_off:
        return _until(last.at + RECENT, now, "the last drain cut off work")
    return Problem("")


def _after(at: float, now: float, text: str) -> Problem:
    return Problem(text) if now >= at else Problem("", at)


def _until(at: float, now: float, text: str) -> Problem:
    return Problem(text, at) if now < at else Problem("")

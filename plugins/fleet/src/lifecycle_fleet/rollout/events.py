"""Which Events of the API server count in a rollout. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from lifecycle_fleet.rollout.lane import Lane
from lifecycle_fleet.rollout.pods import Phase
from lifecycle_fleet.view.pod import moment
from lifecycle_fleet.view.told import one_line

Object = Mapping[str, Any]

HOOKS: Final = ("FailedPreStopHook", "FailedPostStartHook")
CUT_OFF: Final = "CutOff"
TROUBLE: Final = (
    "BackOff",
    "Failed",
    "FailedCreatePodSandBox",
    "FailedMount",
    "FailedScheduling",
    "Unhealthy",
)
"""The reasons of warnings that tell why a pod does not start."""
RESTARTED: Final = "Killing"
"""The reason for each end of a container. A message with `failed` is about a probe."""


class Told(NamedTuple):
    """
    The part of an Event that counts.

    Attributes:
        pod: The uid of the pod.
        reason: The reason of the Event.
        message: Its message, on one line.
        at: When it was emitted, in seconds since the epoch, or 0.
        initial: Whether it was there at the start of the watch.
    """

    pod: str
    reason: str
    message: str
    at: float
    initial: bool


def read(event: Object, *, initial: bool = False) -> Told | None:
    """Return the part of an Event that counts, or None if the Event does not count."""
    about, reason = event.get("involvedObject") or {}, str(event.get("reason") or "")
    message = one_line(str(event.get("message") or reason))
    counts = reason in (*HOOKS, CUT_OFF, *TROUBLE) or (reason == RESTARTED and "failed" in message)
    if about.get("kind") != "Pod" or not about.get("uid") or not counts:
        return None
    at = event.get("lastTimestamp") or event.get("eventTime") or event.get("firstTimestamp")
    return Told(str(about["uid"]), reason, message, moment(at), initial)


def told(lane: Lane, event: Told) -> Lane:
    """Return the lane after an Event. An Event from before the drain of an old pod is left out."""
    if event.initial and lane.initial and _is_past(lane, event):
        return lane
    if event.reason in HOOKS:
        text = f"{event.reason}: {event.message}"
        return lane if text in lane.hooks else replace(lane, hooks=(*lane.hooks, text))
    if event.reason == CUT_OFF:
        return replace(lane, cut=event.message)
    if lane.leaves:
        return lane  # a pod that drains is not ready on purpose
    return replace(lane, trouble=f"{event.reason}: {event.message}")


def _is_past(lane: Lane, event: Told) -> bool:
    drains = lane.first(Phase.DRAINING)
    if drains is None:
        return lane.first(Phase.READY) is not None
    return event.at + 1.0 < drains

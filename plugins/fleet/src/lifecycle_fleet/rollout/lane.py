"""
The lane of one pod: its phases with their times, and how it ended.

A lane is a value. `seen`, `gone` and `told` return the next one. Seeing an object twice changes
nothing. Lanes are compared by identity, because there may be thousands of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from lifecycle_fleet.rollout import pods
from lifecycle_fleet.rollout.pods import End, Phase
from lifecycle_fleet.rollout.workload import HASH, controller
from lifecycle_fleet.view.told import one_line

Object = Mapping[str, Any]

SLACK: Final = 2.0
"""Seconds that the API server may take to remove a pod after its grace period."""


class Span(NamedTuple):
    """One phase of a pod. The times are in seconds since the epoch. `end` is None while it lasts."""

    phase: Phase
    begin: float
    end: float | None = None


@dataclass(frozen=True, eq=False)
class Lane:
    """
    One pod in a rollout.

    Attributes:
        name: Its name.
        uid: Its uid.
        owner: The uid of its ReplicaSet.
        hash: The hash of its template.
        initial: Whether it was there at the start of the watch.
        spans: Its phases, in order.
        grace: The grace period of its deletion, in seconds. None before.
        overdue: Whether its grace period was over at the start of the watch.
        ends: Each end of a container that was seen, in order.
        before: The ends that were there at the start of the watch.
        restarts: The restarts of its containers since the start of the watch.
        restarts_before: The restarts before.
        problem: The reason why it does not start, or empty.
        complete: Whether the last object names how each container has ended.
        hooks: The messages about hooks that have failed.
        cut: The message of the app about work that was cut off, or empty.
        trouble: The last warning of the kubelet or the scheduler, or empty.
        hidden: When the EndpointSlices stopped to show it as ready, after they did. None before.
        shown: Whether an EndpointSlice shows it as ready.
    """

    name: str
    uid: str
    owner: str
    hash: str
    initial: bool
    spans: tuple[Span, ...]
    grace: float | None = None
    overdue: bool = False
    ends: tuple[End, ...] = ()
    before: frozenset[End] = frozenset()
    restarts: int = 0
    restarts_before: int = 0
    problem: str = ""
    complete: bool = False
    hooks: tuple[str, ...] = ()
    cut: str = ""
    trouble: str = ""
    hidden: float | None = None
    shown: bool = False

    @property
    def phase(self) -> Phase:
        """The phase it is in."""
        return self.spans[-1].phase

    @property
    def since(self) -> float:
        """When it entered this phase."""
        return self.spans[-1].begin

    @property
    def is_gone(self) -> bool:
        """Whether it is gone."""
        return self.phase is Phase.GONE

    @property
    def leaves(self) -> bool:
        """Whether it drains or is gone."""
        return self.phase in (Phase.DRAINING, Phase.GONE)

    @property
    def deleted(self) -> bool:
        """Whether it is deleted. A pod that drains by itself may become ready again."""
        return self.grace is not None

    def first(self, phase: Phase) -> float | None:
        """Return when it first entered a phase, or None."""
        return next((each.begin for each in self.spans if each.phase is phase), None)

    @property
    def ready_after(self) -> float | None:
        """The seconds from its creation until it was ready first. None if it never was."""
        ready = self.first(Phase.READY)
        return None if ready is None else ready - self.spans[0].begin

    @property
    def drained_in(self) -> float | None:
        """The seconds from the start of its drain until it was gone, or None."""
        if not self.is_gone:
            return None
        drains = [each.begin for each in self.spans if each.phase is Phase.DRAINING]
        return self.since - drains[-1] if drains else None

    @property
    def gap(self) -> float:
        """The seconds in which it was not ready, between two times when it was."""
        return sum(
            span.end - span.begin
            for span in self.spans
            if span.phase is Phase.UNREADY and span.end is not None
        )

    @property
    def hidden_after(self) -> float | None:
        """The seconds from the start of its drain until the EndpointSlices no longer showed it."""
        drains = self.first(Phase.DRAINING)
        if drains is None or self.hidden is None:
            return None
        return max(0.0, self.hidden - drains)

    @property
    def ended(self) -> tuple[End, ...]:
        """The ends of its containers that the watch has seen, without those from before."""
        return tuple(each for each in self.ends if each not in self.before)

    @property
    def last(self) -> tuple[End, ...]:
        """The last end of each container, without those from before the watch."""
        return tuple({each.container: each for each in self.ended}.values())


def seen(lane: Lane | None, pod: Object, at: float, *, initial: bool = False) -> Lane:
    """
    Return the lane after an object of the pod.

    Args:
        lane: The lane before. None if the pod is seen for the first time.
        pod: The object.
        at: When it was seen, in seconds since the epoch.
        initial: Whether it was there at the start of the watch.
    """
    if lane is None:
        lane = _first(pod, at, initial=initial)
    if lane.is_gone:
        return lane
    found = [*lane.ends]
    found += [each for each in pods.ends(pod) if each not in lane.ends]
    lane = replace(
        lane,
        ends=tuple(found),
        restarts=max(lane.restarts, pods.restarts(pod) - lane.restarts_before),
        problem=pods.problem(pod),
        complete=pods.has_ended(pod),
    )
    if not lane.deleted and pod["metadata"].get("deletionTimestamp"):
        lane = replace(lane, grace=pods.deletion(pod)[1])
    return _entered(lane, _phase(lane, pod), at)


def _first(pod: Object, at: float, *, initial: bool) -> Lane:
    metadata = pod["metadata"]
    return Lane(
        name=one_line(str(metadata["name"])),
        uid=str(metadata.get("uid", "")),
        owner=controller(pod),
        hash=one_line(str((metadata.get("labels") or {}).get(HASH, ""))),
        initial=initial,
        spans=_past(pod, at) if initial else (Span(pods.phase(pod), at),),
        before=frozenset(pods.ends(pod)) if initial else frozenset(),
        restarts_before=pods.restarts(pod) if initial else 0,
        overdue=initial and _overdue(pod, at),
    )


def _overdue(pod: Object, at: float) -> bool:
    if not pod["metadata"].get("deletionTimestamp"):
        return False
    return at > sum(pods.deletion(pod)) + SLACK


def _past(pod: Object, at: float) -> tuple[Span, ...]:
    """Return the phases up to now, from the timestamps of the object."""
    current = pods.phase(pod)
    known = [(phase, min(begin, at)) for phase, begin in pods.history(pod) if begin > 0]
    if current is Phase.DRAINING and pod["metadata"].get("deletionTimestamp"):
        known.append((current, min(pods.deletion(pod)[0], at)))
    elif not known or known[-1][0] is not current:
        known.append((current, at))
    spans: list[Span] = []
    for phase, begin in known:
        start = max(begin, spans[-1].begin) if spans else begin
        if spans:
            spans[-1] = spans[-1]._replace(end=start)
        spans.append(Span(phase, start))
    return tuple(spans)


def _phase(lane: Lane, pod: Object) -> Phase:
    if lane.deleted:
        return Phase.DRAINING
    phase = pods.phase(pod)
    is_back = phase in (Phase.CREATED, Phase.SCHEDULED, Phase.STARTING)
    if is_back and lane.first(Phase.READY) is not None:
        return Phase.UNREADY
    if phase in (Phase.CREATED, Phase.SCHEDULED) and lane.first(Phase.STARTING) is not None:
        return Phase.STARTING  # a container that waits to be restarted
    return phase


def _entered(lane: Lane, phase: Phase, at: float) -> Lane:
    if phase is lane.phase:
        return lane
    at = max(at, lane.since)
    return replace(lane, spans=(*lane.spans[:-1], lane.spans[-1]._replace(end=at), Span(phase, at)))


def gone(lane: Lane | None, pod: Object, at: float) -> Lane:
    """
    Return the lane once the pod is gone.

    Args:
        lane: The lane before. None if the pod is seen for the first time.
        pod: The last object of the pod that is known.
        at: When this was seen, in seconds since the epoch.
    """
    return _entered(seen(lane, pod, at), Phase.GONE, at)


def in_slices(lane: Lane, found: str, at: float) -> Lane:
    """Return the lane after a change of the EndpointSlices: `yes`, `no` or `-`."""
    if found == "yes":
        return replace(lane, shown=True, hidden=None)
    if lane.shown:
        return replace(lane, shown=False, hidden=at)
    return lane

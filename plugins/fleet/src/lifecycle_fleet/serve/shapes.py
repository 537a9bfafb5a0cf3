"""
The shapes of lists. The decoder skips each name that a shape lacks, before it takes memory.

A page of 500 whole pods takes tens of MiB as Python objects, for a moment. If an object does not fit
into its shape, its page is decoded as a whole.
"""

from __future__ import annotations

from typing import Any, Final, TypedDict

from lifecycle_fleet.cluster.kinds import EVENT, POD, SLICE, Kind

Times = dict[str, Any] | None
Annotations = TypedDict("Annotations", {"pod-lifecycle.dev/status": str}, total=False)
Labels = TypedDict(
    "Labels", {"pod-template-hash": str, "controller-revision-hash": str}, total=False
)


class Named(TypedDict, total=False):
    """Metadata of which only the name counts."""

    namespace: str
    name: str
    creationTimestamp: str | None


class Owner(TypedDict, total=False):
    """An owner of a pod."""

    kind: str
    name: str
    controller: bool | None


class Metadata(Named, total=False):
    """The metadata of a pod."""

    uid: str
    deletionTimestamp: str | None
    annotations: Annotations | None
    labels: Labels | None
    ownerReferences: list[Owner] | None


class Condition(TypedDict, total=False):
    """A condition, and a readiness gate."""

    type: str
    status: str
    conditionType: str


class Container(TypedDict, total=False):
    """The parts of a container by which pod-lifecycle is seen to run in it."""

    name: str
    ports: list[dict[str, Any]] | None
    env: list[dict[str, Any]] | None
    command: list[str] | None
    args: list[str] | None
    lifecycle: Times
    startupProbe: Times
    readinessProbe: Times
    livenessProbe: Times


class Spec(TypedDict, total=False):
    """The spec of a pod."""

    nodeName: str | None
    readinessGates: list[Condition] | None
    containers: list[Container] | None


class Status(TypedDict, total=False):
    """The status of a container."""

    name: str
    restartCount: int
    state: Times
    lastState: Times


class PodStatus(TypedDict, total=False):
    """The status of a pod."""

    phase: str | None
    reason: str | None
    conditions: list[Condition] | None
    containerStatuses: list[Status] | None


class Pod(TypedDict, total=False):
    """A pod."""

    metadata: Metadata
    spec: Spec | None
    status: PodStatus | None


class Target(TypedDict, total=False):
    """The object of an endpoint or an Event."""

    kind: str
    name: str
    uid: str


class Endpoint(TypedDict, total=False):
    """An endpoint of an EndpointSlice."""

    conditions: Times
    targetRef: Target | None


class Slice(TypedDict, total=False):
    """An EndpointSlice."""

    metadata: Named
    endpoints: list[Endpoint] | None


class Event(TypedDict, total=False):
    """An Event."""

    metadata: Named
    involvedObject: Target
    lastTimestamp: str | None
    firstTimestamp: str | None
    eventTime: str | None
    series: Times


class Pods(TypedDict, total=False):
    """A page of pods."""

    metadata: dict[str, Any]
    items: list[Pod] | None


class Slices(TypedDict, total=False):
    """A page of EndpointSlices."""

    metadata: dict[str, Any]
    items: list[Slice] | None


class Events(TypedDict, total=False):
    """A page of Events."""

    metadata: dict[str, Any]
    items: list[Event] | None


SHAPES: Final[dict[Kind, type]] = {POD: Pods, SLICE: Slices, EVENT: Events}
"""The shape of a page of each kind."""

"""The pods of `ls`, from the objects of the API server. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lifecycle_fleet.view.endpoints import Endpoints
from lifecycle_fleet.view.pod import PodView, moment, view

Object = Mapping[str, Any]
Key = tuple[str, str]
"""Namespace and name."""


class Listing:
    """
    The pods, each with what other objects say about it.

    Args:
        all_pods: Show the pods without pod-lifecycle too.

    Attributes:
        endpoints: The endpoints of all slices. None if they cannot be read.
        hooks: When the preStop hook of a pod has failed, by the uid of the pod. None if the Events
            cannot be read.
    """

    def __init__(self, *, all_pods: bool = False) -> None:
        self.endpoints: Endpoints | None = Endpoints()
        self.hooks: dict[str, float] | None = {}
        self._all = all_pods
        self._pods: dict[Key, Object] = {}

    def put_pod(self, pod: Object) -> set[Key]:
        """Store a pod. Returns the pods that are concerned."""
        self._pods[key_of(pod)] = pod
        return {key_of(pod)}

    def remove_pod(self, pod: Object) -> set[Key]:
        """Remove a pod. Returns the pods that are concerned."""
        self._pods.pop(key_of(pod), None)
        if self.hooks is not None:
            self.hooks.pop(str(pod["metadata"].get("uid", "")), None)
        return {key_of(pod)}

    def put_event(self, event: Object) -> set[Key]:
        """Store an Event `FailedPreStopHook`. Returns the pods that are concerned."""
        about = event.get("involvedObject") or {}
        if self.hooks is not None and about.get("uid"):
            before = self.hooks.get(about["uid"], 0.0)
            self.hooks[about["uid"]] = max(before, time_of_event(event))
        return {(str(about.get("namespace", "")), str(about.get("name", "")))}

    def remove_event(self, event: Object) -> None:
        """Forget an Event, if its pod is gone. A failed hook of a pod that is here stays known."""
        about = event.get("involvedObject") or {}
        pod = self._pods.get((str(about.get("namespace", "")), str(about.get("name", ""))))
        there = pod is not None and pod["metadata"].get("uid") == about.get("uid")
        if self.hooks is not None and not there:
            self.hooks.pop(str(about.get("uid", "")), None)

    def pod(self, key: Key) -> PodView | None:
        """Return a pod, or None if it is not there, or is not shown."""
        pod = self._pods.get(key)
        if pod is None:
            return None
        uid = str(pod["metadata"].get("uid", ""))
        found = view(
            pod,
            in_slices="?" if self.endpoints is None else self.endpoints.of(*key),
            hook_failed=None if self.hooks is None else self.hooks.get(uid, 0.0),
        )
        return found if self._all or found.ours else None

    def pods(self) -> list[PodView]:
        """Return all pods that are shown, sorted."""
        return in_order(found for key in self._pods if (found := self.pod(key)) is not None)


def in_order(pods: Iterable[PodView]) -> list[PodView]:
    """Return pods sorted by namespace, workload, revision and name."""
    return sorted(pods, key=lambda each: (each.namespace, each.workload, each.revision, each.name))


def key_of(thing: Object) -> Key:
    """Return namespace and name of an object."""
    metadata = thing["metadata"]
    return str(metadata.get("namespace", "")), str(metadata["name"])


def time_of_event(event: Object) -> float:
    """Return when an Event has happened last, in seconds since the epoch, or 0."""
    series = event.get("series") or {}
    times = (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event.get("firstTimestamp"),
        event["metadata"].get("creationTimestamp"),
    )
    return next((found for each in times if (found := moment(each))), 0.0)

"""
All pods that are shown, from the changes of the API server. Pure: no I/O, and time is given.

Rules of this file:

1. A pod is shown if it runs pod-lifecycle, or if a pod of its workload did. So a new image that
   crashes before it can say anything is seen next to the old one.
2. Each pod is turned into JSON once, when it has changed, whatever the number of readers.
3. `changed` are the pods that differ from what was taken last. Many changes of one pod are one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from lifecycle_fleet.serve.ends import Ends
from lifecycle_fleet.serve.labels import Workload
from lifecycle_fleet.view.endpoints import Endpoints
from lifecycle_fleet.view.kind import kind_of
from lifecycle_fleet.view.pod import PodView, view
from lifecycle_fleet.view.problem import problem
from lifecycle_fleet.view.record import record

Object = dict[str, Any]
Key = tuple[str, str]
"""Namespace and name of a pod."""


class Row(NamedTuple):
    """
    A pod that is shown.

    Attributes:
        pod: The pod.
        kind: One of `KINDS`.
        problem: The sentence of `problem`, or empty.
        json: Its record as JSON.
    """

    pod: PodView
    kind: str
    problem: str
    json: bytes


class Changes(NamedTuple):
    """
    The changes since the last time.

    Attributes:
        pods: The records of the pods that are new or different.
        gone: Namespace and name of the pods that are not shown any more.
        ends: Whether a pod has ended badly.
    """

    pods: list[bytes]
    gone: list[Key]
    ends: bool


class Fleet:
    """
    The pods.

    Args:
        clock: Returns the time, in seconds since the epoch.
        all_pods: Show the pods without pod-lifecycle too.
        on_change: Called when there is something to take.

    Attributes:
        rows: The pods that are shown, by namespace and name.
        ends: How pods have ended.
        changed_at: The time of the last change, or 0.
        now: Returns the time, in seconds since the epoch.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        all_pods: bool = False,
        on_change: Callable[[], object] = lambda: None,
    ) -> None:
        self.rows: dict[Key, Row] = {}
        self.ends = Ends()
        self.changed_at = 0.0
        self.now = clock
        self._all = all_pods
        self._on_change = on_change
        self._pods: dict[Key, PodView] = {}
        self._members: dict[Workload, set[Key]] = {}
        self._ours: set[Workload] = set()
        self._endpoints = Endpoints()
        self._hooks: dict[str, float] = {}
        self._until: dict[Key, float] = {}
        self._dirty: dict[Key, None] = {}
        self._new_end = False
        self._slices_known = self._hooks_known = True

    # What the API server says

    def pod(self, old: Object | None, new: Object | None) -> None:
        """Take a pod as it was and as it is. None means that there was none, or is none."""
        if new is None:
            if old is not None:
                self._remove(old)
            return
        key = _key(new)
        uid = str(new["metadata"].get("uid", ""))
        found = view(new, in_slices=self._found(key), hook_failed=self._hook(uid))
        before = self._pods.get(key)
        if before is not None and before.uid != found.uid and old is not None:
            self._remove(old)
            before = None
        self._pods[key] = found
        if before is not None and _workload(before) != _workload(found):
            self._leave(key, _workload(before))
        self._join(key, found)
        self._touch(key)

    def piece(self, old: Object | None, new: Object | None) -> None:
        """Take an EndpointSlice as it was and as it is."""
        concerned = self._endpoints.put(new) if new is not None else set()
        if new is None and old is not None:
            concerned = self._endpoints.remove(old)
        for key in concerned:
            if (pod := self._pods.get(key)) is None:
                continue
            if (in_slices := self._found(key)) != pod.in_slices:
                self._pods[key] = pod._replace(in_slices=in_slices)
                self._touch(key)

    def hook_failed(self, old: Object | None, new: Object | None) -> None:
        """Take an Event `FailedPreStopHook` as it was and as it is."""
        if new is None or (old is not None and old["at"] == new["at"]):
            return
        about = new.get("involvedObject") or {}
        uid, key = str(about.get("uid", "")), (_key(new)[0], str(about.get("name", "")))
        pod = self._pods.get(key)
        if pod is not None and pod.uid == uid:
            at = self._hooks[uid] = new["at"] or self.now()
            belongs = pod.drained is None or at >= pod.drained.started
            self._pods[key] = pod._replace(hook_failed=belongs)
            if self._shows(pod):
                self.ends.hook_failed(_workload(pod))
            self._touch(key)
        elif self.ends.hook_failed_of(uid):
            self._new_end = True
            self._on_change()

    def unknown(self, *, slices: bool = False, hooks: bool = False) -> None:
        """Note that EndpointSlices or Events cannot be read."""
        self._slices_known &= not slices
        self._hooks_known &= not hooks
        for key, pod in self._pods.items():
            self._pods[key] = pod._replace(
                in_slices="?" if slices else pod.in_slices,
                hook_failed=None if hooks else pod.hook_failed,
            )
        self._touch(*self._pods)

    def _found(self, key: Key) -> str:
        return self._endpoints.of(*key) if self._slices_known else "?"

    def _hook(self, uid: str) -> float | None:
        return self._hooks.get(uid, 0.0) if self._hooks_known else None

    # What the readers get

    def due(self) -> float:
        """Return when the next problem may start or end by itself, in seconds since the epoch."""
        return min(self._until.values(), default=math.inf)

    def refresh(self) -> None:
        """Look again at the pods whose problem may have started or ended by itself."""
        now = self.now()
        for key in [key for key, at in self._until.items() if at <= now]:
            self._touch(key)

    def take(self) -> Changes:
        """Return what has changed since the last call."""
        dirty, self._dirty = self._dirty, {}
        ends, self._new_end = self._new_end, False
        pods, gone = [], []
        for key in dirty:
            before, row = self.rows.get(key), self._row(key)
            if row is None:
                if self.rows.pop(key, None) is not None:
                    gone.append(key)
            elif before is None or before.json != row.json:
                self.rows[key] = row
                pods.append(row.json)
        if pods or gone or ends:
            self.changed_at = self.now()
        return Changes(pods, gone, ends)

    def _row(self, key: Key) -> Row | None:
        pod = self._pods.get(key)
        self._until.pop(key, None)
        if pod is None or not self._shows(pod):
            return None
        hook = self._hooks.get(pod.uid, 0.0) if pod.hook_failed else 0.0
        found = problem(pod, self.now(), hook)
        if found.until < math.inf:
            self._until[key] = found.until
        return Row(pod, kind_of(pod), found.text, msgspec.json.encode(record(pod, found.text)))

    def _shows(self, pod: PodView) -> bool:
        return self._all or pod.ours or bool(pod.workload and _workload(pod) in self._ours)

    # Bookkeeping

    def _remove(self, old: Object) -> None:
        key = _key(old)
        pod = self._pods.pop(key, None)
        if pod is None:
            return
        self._hooks.pop(pod.uid, None)
        if self._shows(pod):
            self._new_end |= self.ends.gone(pod, old, self.now())
        self._leave(key, _workload(pod))
        self._touch(key)

    def _join(self, key: Key, pod: PodView) -> None:
        """Note a pod in its workload. The first one of ours shows the others too, for good."""
        workload = _workload(pod)
        members = self._members.setdefault(workload, set())
        members.add(key)
        if pod.ours and workload not in self._ours:
            self._ours.add(workload)
            self._touch(*members)

    def _leave(self, key: Key, workload: Workload) -> None:
        members = self._members[workload]
        members.discard(key)
        if not members:
            del self._members[workload]
            self._ours.discard(workload)

    def _touch(self, *keys: Key) -> None:
        self._dirty.update(dict.fromkeys(keys))
        self._on_change()


def _workload(pod: PodView) -> Workload:
    return pod.namespace, pod.workload


def _key(found: Object) -> Key:
    metadata = found["metadata"]
    return str(metadata.get("namespace", "")), str(metadata["name"])

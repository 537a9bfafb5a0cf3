"""Which pods clients find, from the EndpointSlices. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Object = Mapping[str, Any]


class Endpoints:
    """
    The endpoints of all slices, by pod. A slice is put in again with each change.

    A pod is found if an endpoint of it is ready in at least one slice.
    """

    def __init__(self, slices: Iterable[Object] = ()) -> None:
        self._of_slice: dict[tuple[str, str], dict[str, bool]] = {}
        self._of_pod: dict[tuple[str, str], dict[str, bool]] = {}
        for each in slices:
            self.put(each)

    def put(self, piece: Object) -> set[tuple[str, str]]:
        """Store a slice. Returns the pods that are concerned, by namespace and name."""
        name = self._name(piece)
        changed = self.remove(piece)
        namespace = name[0]
        pods: dict[str, bool] = {}
        for each in piece.get("endpoints") or ():
            target = each.get("targetRef") or {}
            if target.get("kind") == "Pod" and target.get("name"):
                ready = (each.get("conditions") or {}).get("ready") is not False
                pods[str(target["name"])] = pods.get(str(target["name"]), False) or ready
        self._of_slice[name] = pods
        for pod, ready in pods.items():
            self._of_pod.setdefault((namespace, pod), {})[name[1]] = ready
            changed.add((namespace, pod))
        return changed

    def remove(self, piece: Object) -> set[tuple[str, str]]:
        """Remove a slice. Returns the pods that are concerned."""
        namespace, name = self._name(piece)
        changed = set()
        for pod in self._of_slice.pop((namespace, name), {}):
            slices = self._of_pod.get((namespace, pod), {})
            slices.pop(name, None)
            if not slices:
                self._of_pod.pop((namespace, pod), None)
            changed.add((namespace, pod))
        return changed

    def of(self, namespace: str, pod: str) -> str:
        """Return whether clients find a pod: `yes`, `no`, or `-` if no slice names it."""
        slices = self._of_pod.get((namespace, pod))
        if not slices:
            return "-"
        return "yes" if any(slices.values()) else "no"

    def _name(self, piece: Object) -> tuple[str, str]:
        metadata = piece["metadata"]
        return str(metadata.get("namespace", "")), str(metadata["name"])

"""Autoscalers, and the minimum of replicas that they keep."""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from lifecycle.checks.errors import Unreadable
from lifecycle.checks.node import Node
from lifecycle.checks.reading.documents import Document

_PAUSED: Final = "autoscaling.keda.sh/paused-replicas"
# The field of each kind for the minimum, and the default of this field.
_LEAST: Final[dict[str, tuple[tuple[str, ...], float | None]]] = {
    "HorizontalPodAutoscaler": (("spec", "minReplicas"), 1),
    "WatermarkPodAutoscaler": (("spec", "minReplicas"), 1),
    "ScaledObject": (("spec", "minReplicaCount"), 0),
    "HTTPScaledObject": (("spec", "replicas", "min"), 0),
    "MultidimPodAutoscaler": (("spec", "constraints", "global", "minReplicas"), None),
    "DatadogPodAutoscaler": (("spec", "constraints", "minReplicas"), None),
}
_OTHER: Final = (("spec", "minReplicas"), None)
_ELSEWHERE: Final = 3


@dataclass(frozen=True)
class Scaler:
    """
    An object that sets the replicas of a workload.

    Attributes:
        name: Kind and name of the object.
        namespace: Namespace of the object. Empty if there is none.
        least: The minimum of replicas, from 0. None if not known.
        file: File of the object.
        elsewhere: Whether the file is neither in the folder of the workload, nor above or below it.
            If so, the object may belong to an overlay or to another environment.
    """

    name: str
    namespace: str
    least: float | None
    file: str
    elsewhere: bool = False

    @property
    def is_rollout(self) -> bool:
        """Whether the object is an Argo Rollout, which also replaces the pods."""
        return self.name.startswith("Rollout/")


class Scaling:
    """
    The autoscalers among some objects.

    An Argo Rollout with a `workloadRef` counts as an autoscaler of that workload.

    Args:
        documents: The objects.
    """

    def __init__(self, documents: Iterable[Document]) -> None:
        self._found: dict[tuple[str, str], list[Scaler]] = {}
        self._patched: dict[str, float] = {}
        documents = list(documents)
        for each in documents:
            with suppress(Unreadable):
                if each.partial or not _target_of(each):
                    self._patch(each)
        for read in (_autoscaled, self._referred):
            for each in documents:
                with suppress(Unreadable):
                    for target, least in read(each):
                        scaler = Scaler(_named(each), each.namespace, least, each.file)
                        self._found.setdefault(target, []).append(scaler)

    def of(self, kind: str, name: str, namespace: str, file: str) -> Scaler | None:
        """
        Return the autoscaler of a workload. None if there is none.

        If one of the two objects has no namespace, they still match, because charts and overlays
        often leave the namespace out. If several autoscalers match, the nearest file counts, because
        each environment may have its own one. Among equally near ones, the largest minimum counts.

        Args:
            kind: Kind of the workload.
            name: Name of the workload.
            namespace: Namespace of the workload, or empty.
            file: File of the workload.
        """
        found = self._found.get((kind, name), [])
        same = [each for each in found if each.namespace == namespace]
        maybe = [each for each in found if not (each.namespace and namespace)]
        near = min((_apart(file, each.file) for each in same or maybe), default=0)
        nearest = [each for each in same or maybe if _apart(file, each.file) == near]
        if not nearest:
            return None
        most = max(nearest, key=lambda each: each.least or 0)
        least = most.least and max(most.least, self._patched.get(most.name, 0))
        return replace(most, least=least, elsewhere=near == _ELSEWHERE and not most.is_rollout)

    def _patch(self, document: Document) -> None:
        """Remember the minimum that an overlay sets in an autoscaler."""
        count = document.node.at(*_LEAST.get(document.kind, _OTHER)[0]).number(0)
        name = _named(document)
        self._patched[name] = max(count, self._patched.get(name, 0))

    def _referred(self, document: Document) -> Iterator[tuple[tuple[str, str], float | None]]:
        spec = document.node.at("spec")
        if document.kind == "Rollout" and (target := _target(spec.at("workloadRef"))):
            scaler = self.of(document.kind, document.name, document.namespace, document.file)
            yield target, scaler.least if scaler else spec.at("replicas").number(1)


def _autoscaled(document: Document) -> Iterator[tuple[tuple[str, str], float | None]]:
    if target := _target_of(document):
        yield target, _least(document)


def _target_of(document: Document) -> tuple[str, str] | None:
    key = "targetRef" if document.kind == "DatadogPodAutoscaler" else "scaleTargetRef"
    return _target(document.node.at("spec", key))


def _named(document: Document) -> str:
    return f"{document.kind}/{document.name}"


def _apart(one: str, other: str) -> int:
    """Return the distance of two files, from 0 for the same file to `_ELSEWHERE`."""
    if one == other:
        return 0
    folders = [f"{os.path.dirname(each)}{os.sep}".lstrip("/") for each in (one, other)]
    if folders[0] == folders[1]:
        return 1
    inside = folders[0].startswith(folders[1]) or folders[1].startswith(folders[0])
    return _ELSEWHERE - 1 if inside else _ELSEWHERE


def _target(reference: Node) -> tuple[str, str] | None:
    if not isinstance(reference.value, dict) or not reference.at("name"):
        return None
    return reference.at("kind").text() or "Deployment", reference.at("name").text()


def _least(document: Document) -> float | None:
    paused = document.node.at("metadata", "annotations", _PAUSED).text()
    if paused.isdecimal():
        return float(paused)
    path, default = _LEAST.get(document.kind, _OTHER)
    try:
        given = document.node.at(*path)
        if not given and path[-1] in {*document.node.at(*path[:-1]).keys()}:
            return None  # the value is a placeholder
        return given.number(0) if given else default
    except Unreadable:  # the value is a placeholder
        return None

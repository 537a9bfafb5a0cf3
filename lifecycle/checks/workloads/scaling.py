"""How many replicas an autoscaler leaves of a workload, at least."""

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
# Where each kind says how many are left at least, and what it means if it does not say so.
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
    What sets the number of replicas in place of the workload.

    Attributes:
        name: Its kind and name.
        namespace: Empty if it does not say one.
        least: How many it leaves at least, from 0; None if that cannot be seen.
        file: Where it stands.
        elsewhere: Whether its folder is neither that of the workload, nor above or below it. Then
            it may be an overlay's, or that of another environment.
    """

    name: str
    namespace: str
    least: float | None
    file: str
    elsewhere: bool = False

    @property
    def is_rollout(self) -> bool:
        """Whether it is an Argo Rollout, which replaces the pods too."""
        return self.name.startswith("Rollout/")


class Scaling:
    """
    The autoscalers among some documents, by what they scale.

    An Argo Rollout with a `workloadRef` scales what it refers to.
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
        Return what scales a workload; None if nothing does.

        A namespace that is left out may be any: charts and overlays often leave it out in one
        of the two. Where several may be meant, it is the nearest one, because environments have
        their own; and of those as near, the one that leaves most.
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
        """Note the minimum that an overlay gives an autoscaler, if it gives one."""
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
    """Tell how far files are from each other: 0 is the same one, `_ELSEWHERE` another branch."""
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
            return None  # a placeholder was there
        return given.number(0) if given else default
    except Unreadable:  # a placeholder, which something else fills in
        return None

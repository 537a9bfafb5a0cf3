"""How many replicas an autoscaler leaves of a workload, at least."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from lifecycle.checks.errors import Unreadable
from lifecycle.checks.node import Node
from lifecycle.checks.reading import Document

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


@dataclass(frozen=True)
class Scaler:
    """
    What sets the number of replicas in place of the workload.

    Attributes:
        name: Its kind and name.
        namespace: Empty if it does not say one.
        least: How many it leaves at least, from 0; None if that cannot be seen.
    """

    name: str
    namespace: str
    least: float | None

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
        documents = list(documents)
        for read in (_autoscaled, self._referred):
            for each in documents:
                with suppress(Unreadable):
                    for target, least in read(each):
                        scaler = Scaler(f"{each.kind}/{each.name}", each.namespace, least)
                        self._found.setdefault(target, []).append(scaler)

    def of(self, kind: str, name: str, namespace: str) -> Scaler | None:
        """
        Return what scales a workload; None if nothing does.

        A namespace that is left out may be any: charts and overlays often leave it out in one
        of the two. Where several may be meant, it is the one that leaves most.
        """
        found = self._found.get((kind, name), [])
        same = [each for each in found if each.namespace == namespace]
        maybe = [each for each in found if not (each.namespace and namespace)]
        return max(same or maybe, key=lambda each: each.least or 0, default=None)

    def _referred(self, document: Document) -> Iterator[tuple[tuple[str, str], float | None]]:
        spec = document.node.at("spec")
        if document.kind == "Rollout" and (target := _target(spec.at("workloadRef"))):
            scaler = self.of(document.kind, document.name, document.namespace)
            yield target, scaler.least if scaler else spec.at("replicas").number(1)


def _autoscaled(document: Document) -> Iterator[tuple[tuple[str, str], float | None]]:
    key = "targetRef" if document.kind == "DatadogPodAutoscaler" else "scaleTargetRef"
    if target := _target(document.node.at("spec", key)):
        yield target, _least(document)


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
        return given.number(0) if given else default
    except Unreadable:  # a placeholder, which something else fills in
        return None

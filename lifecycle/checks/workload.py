"""What the rules look at: a workload, its pod, and the others it is shown with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Final

from lifecycle.checks.container import Container
from lifecycle.checks.reading import Document

DEFAULT_GRACE: Final = 30.0
"""terminationGracePeriodSeconds, where a pod does not say it."""
IGNORE: Final = "pod-lifecycle.dev/ignore"
"""The annotation, of a workload or its pod template, that names rules to leave out."""

_TEMPLATES: Final[dict[str, tuple[str, ...]]] = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
KINDS: Final = tuple(_TEMPLATES)
_GROUPS: Final = ("", "apps", "batch", "extensions")


class Workload:
    """
    A pod, or what makes pods.

    Args:
        document: One of `KINDS`.
        others: Every object that was read with it.
    """

    def __init__(self, document: Document, others: Sequence[Document] = ()) -> None:
        self.document = document
        self.others = others
        self.kind = document.kind
        self.node = document.node
        self.template = document.node.at(*_TEMPLATES[document.kind])
        self.pod = self.template.at("spec")

    def __str__(self) -> str:
        return f"{self.kind}/{self.document.name}"

    @cached_property
    def containers(self) -> list[Container]:
        """The containers that run while the pod does: native sidecars too."""
        sidecars = [
            each
            for each in self.pod.at("initContainers").each()
            if each.at("restartPolicy").text() == "Always"
        ]
        return [Container(each) for each in (*self.pod.at("containers").each(), *sidecars)]

    @property
    def grace(self) -> float:
        """Its terminationGracePeriodSeconds."""
        return self.pod.at("terminationGracePeriodSeconds").number(DEFAULT_GRACE)

    @property
    def is_job(self) -> bool:
        """Whether it is to end by itself."""
        return self.kind in ("Job", "CronJob")

    @property
    def host_network(self) -> bool:
        """Whether its ports are the node's."""
        return self.pod.at("hostNetwork").value is True

    @property
    def replicas(self) -> float | None:
        """How many there are at least; None if that is not said, or has no meaning."""
        if self.kind not in ("Deployment", "StatefulSet", "ReplicaSet"):
            return None
        said = self.node.at("spec", "replicas")
        scaled = [
            each.node.at("spec", "minReplicas").number(1)
            for each in self.others
            if each.kind == "HorizontalPodAutoscaler"
            and each.namespace == self.document.namespace
            and each.node.at("spec", "scaleTargetRef", "kind").text() == self.kind
            and each.node.at("spec", "scaleTargetRef", "name").text() == self.document.name
        ]
        return scaled[0] if scaled else said.number(1)

    def ignored(self) -> set[str]:
        """Return the rules that its annotations leave out."""
        texts = [
            part.at("metadata", "annotations", IGNORE).text() for part in (self.node, self.template)
        ]
        return {word.strip() for text in texts for word in text.split(",")}


def workloads(documents: Iterable[Document]) -> list[Workload]:
    """Return those of the documents that have pods."""
    documents = list(documents)
    return [Workload(each, documents) for each in documents if _has_pods(each)]


def _has_pods(document: Document) -> bool:
    group, slash, _ = str(document.node.at("apiVersion").value).partition("/")
    return document.kind in KINDS and (group if slash else "") in _GROUPS

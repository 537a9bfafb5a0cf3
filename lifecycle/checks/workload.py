"""What the rules look at: a workload, its pod, and the others it is shown with."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from typing import Final

from lifecycle.checks.container import Container
from lifecycle.checks.errors import Unreadable
from lifecycle.checks.node import Node
from lifecycle.checks.reading import Document

DEFAULT_GRACE: Final = 30.0
"""terminationGracePeriodSeconds, where a pod does not say it."""
IGNORE: Final = "pod-lifecycle.dev/ignore"
"""The annotation, of a workload or its pod template, that names rules to leave out."""

REGISTERED: Final = "pod-lifecycle.dev/registered"
"""The condition that the registry on Kubernetes sets."""

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
        around: What was read with it.
    """

    def __init__(self, document: Document, around: Surroundings) -> None:
        self.document = document
        self.around = around
        self.kind = document.kind
        self.node = document.node

    def __str__(self) -> str:
        return f"{self.kind}/{self.document.name}"

    @cached_property
    def template(self) -> Node:
        """The pod template; of a Pod itself."""
        return self.node.at(*_TEMPLATES[self.kind])

    @cached_property
    def pod(self) -> Node:
        """The spec of the pod."""
        return self.template.at("spec")

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
    def has_gate(self) -> bool:
        """Whether its pods wait for the registry: they have the plugin, which reads their spec."""
        gates = self.pod.at("readinessGates").each()
        return any(each.at("conditionType").text() == REGISTERED for each in gates)

    def serves(self, container: Container) -> bool:
        """Tell whether somebody asks a container for something."""
        return bool(container.ports) or "readiness" in container.probes or container.is_lifecycle

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
        key = (self.document.namespace, self.kind, self.document.name)
        return self.around.scaled.get(key) or self.node.at("spec", "replicas").number(1)

    def ignored(self) -> set[str]:
        """Return the rules that its annotations leave out."""
        texts = [
            part.at("metadata", "annotations", IGNORE).text() for part in (self.node, self.template)
        ]
        return {word.strip() for text in texts for word in text.split(",")}


class Surroundings:
    """
    Everything that was read together.

    What in it cannot be read is said where it is checked itself, and is nothing to others.
    """

    def __init__(self, documents: Iterable[Document]) -> None:
        self._documents = list(documents)
        self.workloads = [Workload(each, self) for each in self._documents if _has_pods(each)]

    @cached_property
    def scaled(self) -> dict[tuple[str, str, str], float]:
        """The least that an autoscaler leaves, by namespace, kind and name of what it scales."""
        found = {}
        for each in self._documents:
            if each.kind == "HorizontalPodAutoscaler":
                with suppress(Unreadable):
                    spec, target = each.node.at("spec"), each.node.at("spec", "scaleTargetRef")
                    key = (each.namespace, target.at("kind").text(), target.at("name").text())
                    found[key] = spec.at("minReplicas").number(1)
        return found

    @cached_property
    def on_the_node(self) -> dict[int, list[Workload]]:
        """Those that take a QOS port of the node they are on, by port."""
        found: dict[int, list[Workload]] = {}
        for each in self.workloads:
            with suppress(Unreadable):
                if each.host_network:
                    for port in {one.qos_port for one in each.containers if one.is_lifecycle}:
                        found.setdefault(port, []).append(each)
        return found


def _has_pods(document: Document) -> bool:
    group, slash, _ = str(document.node.at("apiVersion").value).partition("/")
    return document.kind in KINDS and (group if slash else "") in _GROUPS

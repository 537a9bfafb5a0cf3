"""What the rules look at: a workload, its pod, and the others it is shown with."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Final

from lifecycle.checks.errors import Unreadable
from lifecycle.checks.node import Node
from lifecycle.checks.reading.documents import Document
from lifecycle.checks.reading.kinds import Kind, kind_of, templates
from lifecycle.checks.reading.patches import completed, is_partial
from lifecycle.checks.workloads.container import Container
from lifecycle.checks.workloads.image_files import text_near
from lifecycle.checks.workloads.knative import KNATIVE, KNATIVE_GRACE, as_knative_runs
from lifecycle.checks.workloads.ownership import is_of_a_job, made_by_others
from lifecycle.checks.workloads.scaling import Scaler, Scaling
from lifecycle.checks.workloads.sidecars import is_known_sidecar

DEFAULT_GRACE: Final = 30.0
"""terminationGracePeriodSeconds, where a pod does not say it."""
IGNORE: Final = "pod-lifecycle.dev/ignore"
"""
The annotation, of a workload or its pod template, that names rules to leave out.

With a dot and a container's name after it, they are left out for that container alone.
"""

REGISTERED: Final = "pod-lifecycle.dev/registered"
"""The condition that the registry on Kubernetes sets."""


class Workload:
    """
    A pod, or what makes pods.

    Args:
        document: The object, of a kind that makes pods.
        around: What was read with it.
        root: Of it, where the way to the pod template begins.
        path: The way from there.
    """

    def __init__(
        self,
        document: Document,
        around: Surroundings,
        root: Node | None = None,
        path: tuple[str, ...] = ("spec", "template"),
    ) -> None:
        self.document = document
        self.around = around
        self.kind = document.kind
        self.node = document.node
        self._root = root or document.node
        self._path = path

    def __str__(self) -> str:
        return f"{self.kind}/{self.document.name}"

    @cached_property
    def template(self) -> Node:
        """The pod template; of a Pod itself."""
        return self._root.at(*self._path)

    @cached_property
    def pod(self) -> Node:
        """The spec of the pod."""
        spec = self.template.at("spec")
        return as_knative_runs(spec) if self.document.group == KNATIVE else spec

    @cached_property
    def containers(self) -> list[Container]:
        """The containers that run while the pod does: native sidecars too."""
        made = [Container(each, file=self._file) for each in self.pod.at("containers").each()]
        return made + [
            Container(each, is_native_sidecar=True, file=self._file)
            for each in self.pod.at("initContainers").each()
            if each.at("restartPolicy").text() == "Always"
        ]

    def _file(self, path: str) -> str | None:
        """Return a file of the image: of a ConfigMap that is mounted, or near the manifest."""
        mounted = {each.at("configMap", "name").text() for each in self.pod.at("volumes").each()}
        maps = [each.node for each in self.around.others if each.kind == "ConfigMap"]
        for node in maps:
            with suppress(Unreadable):
                text = node.at("data", os.path.basename(path)).text()
                if text and node.at("metadata", "name").text() in mounted:
                    return text
        return text_near(self.document.file, path)

    @cached_property
    def apps(self) -> list[Container]:
        """
        The containers that rules about an app look at: sidecars are left out.

        A sidecar is a native one, which Kubernetes ends after the app, or one that is known as
        a mesh's, a proxy or an agent. A pod of known ones alone serves with them: they are apps.
        In a patch they are not, because its base holds the app.
        """
        own = [each for each in self.containers if each.is_lifecycle or not each.is_native_sidecar]
        apps = [
            each
            for each in own
            if each.is_lifecycle or not is_known_sidecar(each.name, each.node.at("image").text())
        ]
        return apps or ([] if self.is_partial else own)

    @cached_property
    def ours(self) -> list[Container]:
        """The containers that run under a lifecycle."""
        return [each for each in self.containers if each.is_lifecycle]

    def may_be_ours(self, name: str = "") -> bool:
        """
        Tell whether a container runs under pod-lifecycle, or may do so by the image's command.

        Args:
            name: Name of the container. If empty, one such container in the pod is enough.
        """
        return any(
            each.is_lifecycle or any(one.is_qos for one in each.probes.values())
            for each in self.containers
            if name in ("", each.name)
        )

    @property
    def container_names(self) -> set[str]:
        """The names of all its containers: those that only start the pod too."""
        kinds = ("containers", "initContainers")
        return {each.at("name").text() for kind in kinds for each in self.pod.at(kind).each()}

    @property
    def shares_processes(self) -> bool:
        """Whether PID 1, as its containers see it, is not their own first process."""
        return any(self.pod.at(each).value is True for each in ("shareProcessNamespace", "hostPID"))

    @property
    def grace(self) -> float:
        """Its terminationGracePeriodSeconds; Knative sets it to the longest request."""
        said = self.pod.at("terminationGracePeriodSeconds")
        if self.document.group == KNATIVE:
            return said.number(self.pod.at("timeoutSeconds").number(KNATIVE_GRACE))
        return said.number(DEFAULT_GRACE)

    @property
    def has_gate(self) -> bool:
        """Whether its pods wait for the registry: they have the plugin, which reads their spec."""
        gates = self.pod.at("readinessGates").each()
        return any(each.at("conditionType").text() == REGISTERED for each in gates)

    def serves(self, container: Container) -> bool:
        """Tell whether somebody asks a container for something."""
        return bool(container.ports) or "readiness" in container.probes or container.is_lifecycle

    @property
    def _known(self) -> Kind:
        return kind_of(self.document.group, self.kind) or Kind()

    @cached_property
    def is_partial(self) -> bool:
        """Whether a base has to complete it, so that what is missing here says nothing."""
        if self.document.partial is not None:
            return self.document.partial
        try:
            return is_partial(self.node, self.kind, self.pod)
        except Unreadable:
            return False

    def completed(self) -> list[Workload]:
        """Return it on bases that leave nothing open; none for a kind of which no base is known."""
        if self._root is not self.node:
            return []
        return [
            Workload(
                replace(self.document, node=each, partial=False), self.around, None, self._path
            )
            for each in completed(self.node, self._path)
        ]

    @property
    def is_job(self) -> bool:
        """Whether it is to end by itself."""
        return self._known.ends or is_of_a_job(self.document)

    @property
    def host_network(self) -> bool:
        """Whether its ports are the node's."""
        return self.pod.at("hostNetwork").value is True

    def may_run_with(self, other: Workload) -> bool:
        """Tell whether another workload is for the same cluster: not the same one, of another place."""
        mine, theirs = self.document, other.document
        if (mine.kind, mine.name) == (theirs.kind, theirs.name):
            return False
        folders = [os.path.dirname(each.file) + os.sep for each in (mine, theirs)]
        return folders[0].startswith(folders[1]) or folders[1].startswith(folders[0])

    @property
    def scaler(self) -> Scaler | None:
        """What sets the number of its replicas in its place, if something does."""
        own = self.document
        return self.around.scaling.of(self.kind, own.name, own.namespace, own.file)

    @property
    def replicas(self) -> float | None:
        """How many there are at least; None if that is not said, or has no meaning."""
        if not self._known.counted:
            return None
        scaler = self.scaler
        if scaler and not (scaler.elsewhere and scaler.least):
            return scaler.least
        said = self.node.at("spec", "replicas").number(1)
        if scaler and scaler.least:
            said = max(said, scaler.least)
        return said if self.is_partial else max(said, self.around.overlaid(self))

    def ignored(self, container: str = "") -> set[str]:
        """
        Return the rules that its annotations leave out.

        Args:
            container: The name of one: what is left out for it is returned too.
        """
        names = {IGNORE, f"{IGNORE}.{container}" if container else IGNORE}
        texts = [
            annotations.at(name).text() for annotations in self._annotations() for name in names
        ]
        return {word.strip() for text in texts for word in text.split(",")}

    def variables_of(self, container: Container, **assumed: str) -> Callable[[str], str | None]:
        """Return how to look up a container's variables: what a base may add is assumed."""
        if not self.is_partial:
            return container.value
        known = container.value
        return lambda name: assumed.get(name) if known(name) is None else known(name)

    def containers_with_leave_outs(self) -> list[str]:
        """Return the names of containers for which its annotations leave rules out."""
        keys = {key for each in self._annotations() for key in sorted(each.keys())}
        return sorted(
            key.removeprefix(f"{IGNORE}.") for key in keys if key.startswith(f"{IGNORE}.")
        )

    def _annotations(self) -> list[Node]:
        return [part.at("metadata", "annotations") for part in (self.node, self.template)]

    def container_at(self, node: Node) -> str:
        """Return the name of the container that a place is in; empty if it is in none."""
        for each in self.containers:
            if node.path == each.node.path or node.path.startswith(f"{each.node.path}."):
                return each.name
        return ""


class Surroundings:
    """
    Everything that was read together.

    What in it cannot be read is said where it is checked itself, and is nothing to others.

    Args:
        documents: What was read.
        replicas: How many replicas kustomizations give, by the name of a workload.

    Attributes:
        workloads: What makes pods, each of them once: not what another one of them made.
        others: The other objects.
    """

    def __init__(
        self, documents: Iterable[Document], replicas: Mapping[str, float] | None = None
    ) -> None:
        self._documents = list(documents)
        self._replicas = dict(replicas or {})
        made = made_by_others(self._documents)
        self.workloads: list[Workload] = []
        self.others: list[Document] = []
        for each in self._documents:
            known = kind_of(each.group, each.kind)
            if known is None or _refers(each.node):
                self.others.append(each)
            elif id(each) not in made:
                self.workloads += [
                    Workload(each, self, root, path) for root, path in templates(each.node, known)
                ]

    def overlaid(self, workload: Workload) -> float:
        """Return how many replicas overlays give a workload, at most; 0 if they leave it as it is."""
        name = workload.document.name
        return max(self._patched.get((workload.kind, name), 0), self._replicas.get(name, 0))

    @cached_property
    def _patched(self) -> dict[tuple[str, str], float]:
        found: dict[tuple[str, str], float] = {}
        for each in self.workloads:
            with suppress(Unreadable):
                if each.is_partial:
                    key, count = (each.kind, each.document.name), each.node.at("spec", "replicas")
                    found[key] = max(found.get(key, 0), count.number(0))
        return found

    @cached_property
    def scaling(self) -> Scaling:
        """What sets the number of replicas of others."""
        return Scaling(self._documents)

    @cached_property
    def on_the_node(self) -> dict[int, list[Workload]]:
        """Those that take a QOS port of the node they are on, by port."""
        found: dict[int, list[Workload]] = {}
        for each in self.workloads:
            with suppress(Unreadable):
                if each.host_network and not each.is_partial:
                    for port in {one.qos_port for one in each.containers if one.is_lifecycle}:
                        found.setdefault(port, []).append(each)
        return found


def _refers(node: Node) -> bool:
    """Tell whether an object has its pods from another one: a Rollout from its Deployment."""
    with suppress(Unreadable):
        return bool(node.at("spec", "workloadRef"))
    return False

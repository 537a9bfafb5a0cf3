"""Workloads, their pods, and the other objects of the same run."""

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
"""Default of terminationGracePeriodSeconds, in seconds."""
IGNORE: Final = "pod-lifecycle.dev/ignore"
"""
The annotation with the rules to turn off, on a workload or its pod template.

With a dot and the name of a container, the rules are turned off for that container only.
"""

REGISTERED: Final = "pod-lifecycle.dev/registered"
"""The pod condition that lifecycle-kubernetes sets."""


class Workload:
    """
    A pod, or an object that makes pods.

    Args:
        document: The object.
        around: The other objects of the same run.
        root: The node in the object at which `path` starts. If None, the object itself.
        path: Keys from there to the pod template.
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
        """The pod template. For a Pod, the pod itself."""
        return self._root.at(*self._path)

    @cached_property
    def pod(self) -> Node:
        """The spec of the pod."""
        spec = self.template.at("spec")
        return as_knative_runs(spec) if self.document.group == KNATIVE else spec

    @cached_property
    def containers(self) -> list[Container]:
        """The containers that run as long as the pod, including native sidecars."""
        made = [Container(each, file=self._file) for each in self.pod.at("containers").each()]
        return made + [
            Container(each, is_native_sidecar=True, file=self._file)
            for each in self.pod.at("initContainers").each()
            if each.at("restartPolicy").text() == "Always"
        ]

    def _file(self, path: str) -> str | None:
        """Return the text of a file of the image, from a mounted ConfigMap or near the manifest."""
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
        The containers with the app, without sidecars.

        Sidecars are native sidecars, which Kubernetes stops after the app, and known meshes,
        proxies and agents. If a pod has only known ones, they are the app. In a patch they are not,
        because the base contains the app.
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
        """The containers that run under pod-lifecycle."""
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
        """The names of all containers, including init containers."""
        kinds = ("containers", "initContainers")
        return {each.at("name").text() for kind in kinds for each in self.pod.at(kind).each()}

    @property
    def shares_processes(self) -> bool:
        """Whether PID 1 in the containers may be a process of another container or the node."""
        return any(self.pod.at(each).value is True for each in ("shareProcessNamespace", "hostPID"))

    @property
    def grace(self) -> float:
        """The grace period in seconds. Knative sets it to the time limit of a request."""
        said = self.pod.at("terminationGracePeriodSeconds")
        if self.document.group == KNATIVE:
            return said.number(self.pod.at("timeoutSeconds").number(KNATIVE_GRACE))
        return said.number(DEFAULT_GRACE)

    @property
    def has_gate(self) -> bool:
        """Whether the pod has the readiness gate of lifecycle-kubernetes."""
        gates = self.pod.at("readinessGates").each()
        return any(each.at("conditionType").text() == REGISTERED for each in gates)

    def serves(self, container: Container) -> bool:
        """Tell whether a container has clients."""
        return bool(container.ports) or "readiness" in container.probes or container.is_lifecycle

    @property
    def _known(self) -> Kind:
        return kind_of(self.document.group, self.kind) or Kind()

    @cached_property
    def is_partial(self) -> bool:
        """Whether the object is a patch that needs a base. Its missing fields then prove nothing."""
        if self.document.partial is not None:
            return self.document.partial
        try:
            return is_partial(self.node, self.kind, self.pod)
        except Unreadable:
            return False

    def completed(self) -> list[Workload]:
        """Return the workload on bases that add correct values. Empty if no base is known."""
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
        """Whether the workload is expected to end by itself."""
        return self._known.ends or is_of_a_job(self.document)

    @property
    def host_network(self) -> bool:
        """Whether the pod uses the network of the node."""
        return self.pod.at("hostNetwork").value is True

    def may_run_with(self, other: Workload) -> bool:
        """Tell whether another workload may run in the same cluster, by name and folder."""
        mine, theirs = self.document, other.document
        if (mine.kind, mine.name) == (theirs.kind, theirs.name):
            return False
        folders = [os.path.dirname(each.file) + os.sep for each in (mine, theirs)]
        return folders[0].startswith(folders[1]) or folders[1].startswith(folders[0])

    @property
    def scaler(self) -> Scaler | None:
        """The autoscaler of the workload. None if there is none."""
        own = self.document
        return self.around.scaling.of(self.kind, own.name, own.namespace, own.file)

    @property
    def replicas(self) -> float | None:
        """The minimum of replicas. None if not known, or if the kind has no replicas."""
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
        Return the names of the rules that annotations turn off.

        Args:
            container: Name of a container. If given, the rules turned off for it are included.
        """
        names = {IGNORE, f"{IGNORE}.{container}" if container else IGNORE}
        texts = [
            annotations.at(name).text() for annotations in self._annotations() for name in names
        ]
        return {word.strip() for text in texts for word in text.split(",")}

    def variables_of(self, container: Container, **assumed: str) -> Callable[[str], str | None]:
        """
        Return a function that returns the value of a container's variable.

        Args:
            container: The container.
            assumed: Values of variables that the base of a patch may add.
        """
        if not self.is_partial:
            return container.value
        known = container.value
        return lambda name: assumed.get(name) if known(name) is None else known(name)

    def containers_with_leave_outs(self) -> list[str]:
        """Return the names of containers for which annotations turn rules off."""
        keys = {key for each in self._annotations() for key in sorted(each.keys())}
        return sorted(
            key.removeprefix(f"{IGNORE}.") for key in keys if key.startswith(f"{IGNORE}.")
        )

    def _annotations(self) -> list[Node]:
        return [part.at("metadata", "annotations") for part in (self.node, self.template)]

    def container_at(self, node: Node) -> str:
        """Return the name of the container that contains a place. Empty if there is none."""
        for each in self.containers:
            if node.path == each.node.path or node.path.startswith(f"{each.node.path}."):
                return each.name
        return ""


class Surroundings:
    """
    All objects of one run.

    If an object cannot be read, only its own check reports it.

    Args:
        documents: The objects.
        replicas: Number of replicas from kustomizations, by name of the workload.

    Attributes:
        workloads: The objects that make pods, without objects whose owner was read too.
        others: All other objects.
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
        """Return the largest number of replicas in overlays. 0 if no overlay sets it."""
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
        """The autoscalers of the run."""
        return Scaling(self._documents)

    @cached_property
    def on_the_node(self) -> dict[int, list[Workload]]:
        """The workloads that open a QOS port on their node, by port."""
        found: dict[int, list[Workload]] = {}
        for each in self.workloads:
            with suppress(Unreadable):
                if each.host_network and not each.is_partial:
                    for port in {one.qos_port for one in each.containers if one.is_lifecycle}:
                        found.setdefault(port, []).append(each)
        return found


def _refers(node: Node) -> bool:
    """Tell whether an object uses the pods of another object, as a Rollout may do."""
    with suppress(Unreadable):
        return bool(node.at("spec", "workloadRef"))
    return False

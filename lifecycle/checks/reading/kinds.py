"""Kinds that make pods, and the places of their pod templates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from lifecycle.checks.errors import Unreadable
from lifecycle.checks.node import Node


class Kind(NamedTuple):
    """
    The way in which a kind makes pods.

    Attributes:
        paths: Paths of the pod templates. `*` is each item of a list or each value of a mapping.
        ends: Whether the pods are expected to end by themselves.
        counted: Whether spec.replicas is the number of pods.
    """

    paths: tuple[tuple[str, ...], ...] = (("spec", "template"),)
    ends: bool = False
    counted: bool = False


_COUNTED: Final = Kind(counted=True)
_JOB: Final = Kind(ends=True)
_TRAINED: Final = ("PyTorchJob", "TFJob", "MPIJob", "XGBoostJob", "PaddleJob", "JAXJob")
BUILT_IN: Final = {
    "Pod": Kind(((),)),
    "Deployment": _COUNTED,
    "StatefulSet": _COUNTED,
    "DaemonSet": Kind(),
    "ReplicaSet": _COUNTED,
    "ReplicationController": _COUNTED,
    "PodTemplate": Kind((("template",),)),
    "Job": _JOB,
    "CronJob": Kind((("spec", "jobTemplate", "spec", "template"),), ends=True),
}
_GROUPS: Final = ("", "apps", "batch", "extensions")
_RAY: Final = (("headGroupSpec", "template"), ("workerGroupSpecs", "*", "template"))
OTHERS: Final = {
    ("argoproj.io", "Rollout"): _COUNTED,
    ("serving.knative.dev", "Service"): Kind(),
    ("serving.knative.dev", "Configuration"): Kind(),
    ("serving.knative.dev", "Revision"): Kind(((),)),
    ("sources.knative.dev", "ContainerSource"): Kind(),
    ("", "DeploymentConfig"): _COUNTED,
    ("apps.openshift.io", "DeploymentConfig"): _COUNTED,
    ("apps.kruise.io", "CloneSet"): _COUNTED,
    ("apps.kruise.io", "StatefulSet"): _COUNTED,
    ("apps.kruise.io", "DaemonSet"): Kind(),
    ("apps.kruise.io", "BroadcastJob"): _JOB,
    ("apps.kruise.io", "AdvancedCronJob"): Kind(
        (("spec", "template", "jobTemplate", "spec", "template"),), ends=True
    ),
    ("keda.sh", "ScaledJob"): Kind((("spec", "jobTargetRef", "template"),), ends=True),
    ("leaderworkerset.x-k8s.io", "LeaderWorkerSet"): Kind(
        (
            ("spec", "leaderWorkerTemplate", "leaderTemplate"),
            ("spec", "leaderWorkerTemplate", "workerTemplate"),
        )
    ),
    ("jobset.x-k8s.io", "JobSet"): Kind(
        (("spec", "replicatedJobs", "*", "template", "spec", "template"),), ends=True
    ),
    ("batch.volcano.sh", "Job"): Kind((("spec", "tasks", "*", "template"),), ends=True),
    ("agones.dev", "GameServer"): Kind(),
    ("agones.dev", "Fleet"): Kind((("spec", "template", "spec", "template"),)),
    ("ray.io", "RayCluster"): Kind(tuple(("spec", *each) for each in _RAY)),
    ("ray.io", "RayService"): Kind(tuple(("spec", "rayClusterConfig", *each) for each in _RAY)),
    ("ray.io", "RayJob"): Kind(
        tuple(("spec", "rayClusterSpec", *each) for each in _RAY), ends=True
    ),
    **{
        ("kubeflow.org", name): Kind(
            (("spec", f"{name.removesuffix('Job').lower()}ReplicaSpecs", "*", "template"),),
            ends=True,
        )
        for name in _TRAINED
    },
}
_NO_PODS: Final = ("CustomResourceDefinition", "ControllerRevision")
"""Kinds that describe pods or keep old versions of them, but do not make pods."""
_POLICIES: Final = ("kyverno.io", "gatekeeper.sh")
"""Groups with policies, which contain patterns of pods but do not make pods."""
_HOLDERS: Final = ("containers", "initContainers", "sidecars", "steps", "container", "script")
"""Keys that hold containers. For example, Tekton has steps, and Argo Workflows a script."""


def kind_of(group: str, name: str) -> Kind | None:
    """Return how a kind makes pods. None if it makes none, or is not known."""
    built_in = BUILT_IN.get(name) if group in _GROUPS else None
    return built_in or OTHERS.get((group, name))


def templates(node: Node, kind: Kind) -> Iterator[tuple[Node, tuple[str, ...]]]:
    """
    Give the pod templates of an object.

    Args:
        node: The object.
        kind: The way in which its kind makes pods.

    Returns:
        For each template, a node in the object and the keys from this node to the template.
    """
    for path in kind.paths:
        try:
            found = [*_reached(node, path)]
        except Unreadable:  # a later look at the path reports the error
            found = [(node, path)]
        # a missing template counts as a template, unless there may be others
        yield from found if len(kind.paths) == 1 else [each for each in found if _is_there(*each)]


def _is_there(node: Node, path: tuple[str, ...]) -> bool:
    try:
        return bool(node.at(*path))
    except Unreadable:
        return True


def _reached(node: Node, path: tuple[str, ...]) -> Iterator[tuple[Node, tuple[str, ...]]]:
    if "*" not in path:
        yield node, path
        return
    at = path.index("*")
    many = node.at(*path[:at])
    several = many.value.values() if isinstance(many.value, dict) else many.each()
    for each in several:
        yield from _reached(each, path[at + 1 :])


def unknown_pod(node: Node, group: str, kind: str) -> Node | None:
    """Return the containers in an object of an unknown kind. None if there are none."""
    if kind in _NO_PODS or group.endswith(_POLICIES) or not isinstance(node.value, dict):
        return None
    ours = [each for key, each in node.value.items() if key not in ("metadata", "status")]
    return next((found for each in ours if (found := _containers(each)) is not None), None)


def _containers(node: Node) -> Node | None:
    if isinstance(node.value, dict):
        for key in _HOLDERS:
            held: Node | None = node.value.get(key)
            if held is not None and _holds(held):
                return held
        children = list(node.value.values())
    else:
        children = node.value if isinstance(node.value, list) else []
    return next((found for each in children if (found := _containers(each)) is not None), None)


def _holds(held: Node) -> bool:
    """Tell whether a value is a container, or a list or mapping that has one."""
    if isinstance(held.value, dict):
        return any(map(_is_container, (held, *held.value.values())))
    return isinstance(held.value, list) and any(map(_is_container, held.value))


def _is_container(node: Node) -> bool:
    if not isinstance(node.value, dict):
        return False
    image, command = node.value.get("image"), node.value.get("command")
    return (image is not None and isinstance(image.value, str)) or (
        command is not None and isinstance(command.value, list)
    )

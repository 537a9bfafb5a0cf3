"""Changes that Knative makes to the pod of a service."""

from __future__ import annotations

from typing import Final

from lifecycle.checks.node import Node
from lifecycle.checks.reading.patches import changed, with_missing

KNATIVE: Final = "serving.knative.dev"
KNATIVE_GRACE: Final = 300.0
"""Default time limit of a request, in seconds."""
_NAME: Final = "user-container"
_PROBES: Final = ("startupProbe", "readinessProbe", "livenessProbe")


def as_knative_runs(pod: Node) -> Node:
    """Return the spec of a pod as Knative runs it, with a container name and real probe ports."""
    if not pod.at("containers"):
        return pod
    return changed(pod, ("containers",), _containers)


def _containers(node: Node) -> Node:
    return Node([_container(each) for each in node.each()], node.path, node.line)


def _container(node: Node) -> Node:
    node = with_missing(node, name=_NAME)
    for probe in _PROBES:
        for handler in ("httpGet", "tcpSocket", "grpc"):
            if (
                node.at(probe, handler, "port").value == 0
            ):  # Knative puts in the port of the container
                node = changed(node, (probe, handler, "port"), lambda port: Node(None, port.path))
    return node

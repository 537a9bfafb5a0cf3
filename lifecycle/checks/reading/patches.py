"""
Patches, and other objects that need a base.

A finding in such an object is certain only if it holds on every base. So each patch is checked
twice: alone, and on a base that adds correct values for everything that the patch leaves out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from lifecycle.checks.node import Node, digits, from_plain, step

DIRECTIVE: Final = "$patch"
_SELECTED: Final = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
_SELECTING: Final = ("apps/v1",)
_STRATEGY: Final = "updateStrategy"
_LONG: Final = 86_400
_REPLICAS: Final = 10_000
_FREE_PORT: Final = 40_000
_OK: Final = ["true"]
_DRAIN: Final = ["lifecycle", "prestop"]
_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_PROBES: Final = ("startupProbe", "readinessProbe", "livenessProbe")


def is_partial(node: Node, kind: str, pod: Node) -> bool:
    """
    Tell whether an object needs a base, because the API server would refuse the object alone.

    The reasons are a missing spec.selector, no container, a container without an image, and
    `$patch`.

    Args:
        node: The object.
        kind: Kind of the object.
        pod: The spec of its pod.
    """
    if _says(node, DIRECTIVE):
        return True
    if kind == "DeploymentConfig":  # triggers set the images
        return not pod.at("containers")
    needs_selector = kind in _SELECTED and node.at("apiVersion").value in _SELECTING
    containers = pod.at("containers").each()
    return (
        (needs_selector and not node.at("spec", "selector"))
        or not containers
        or not all(each.at("image") for each in containers)
    )


def _says(node: Node, key: str) -> bool:
    if isinstance(node.value, dict):
        return key in node.value or any(_says(each, key) for each in node.value.values())
    return isinstance(node.value, list) and any(_says(each, key) for each in node.value)


def completed(node: Node, template: tuple[str, ...]) -> list[Node]:
    """
    Return a patch on two bases that add correct values for everything that the patch leaves out.

    One base has a network for the pod. The other base has the network of the node, where
    `localhost` in a probe is another host.

    Args:
        node: The patch.
        template: Path of the pod template.
    """
    node = changed(node, ("spec",), lambda spec: with_missing(spec, replicas=_REPLICAS))
    if node.at("spec", _STRATEGY):  # OnDelete stops no pod by itself
        node = changed(node, ("spec", _STRATEGY), lambda each: with_missing(each, type="OnDelete"))
    pod = (*template, "spec")
    node = changed(node, pod, lambda each: with_missing(each, terminationGracePeriodSeconds=_LONG))
    for key in ("containers", "initContainers"):
        if node.at(*pod, key):
            node = changed(node, (*pod, key), _containers)
    return [node, changed(node, pod, lambda each: with_missing(each, hostNetwork=True))]


def changed(node: Node, path: tuple[str, ...], change: Callable[[Node], Node]) -> Node:
    """
    Return a copy of an object with another value at a path.

    Args:
        node: The object.
        path: Keys from the object to the value.
        change: Returns the new value for the old value.
    """
    if not path:
        return change(node)
    child = changed(node.at(path[0]), path[1:], change)
    return Node({**(node.value or {}), path[0]: child}, node.path, node.line, node.repeated)


def with_missing(node: Node, **more: Any) -> Node:
    """Return a copy of a mapping with values for missing keys. null counts as missing."""
    new = {
        key: from_plain(value, step(node.path, key))
        for key, value in more.items()
        if not node.at(key)
    }
    return Node({**(node.value or {}), **new}, node.path, node.line, node.repeated)


def _containers(node: Node) -> Node:
    left = [each for each in node.each() if each.at(DIRECTIVE).value != "delete"]
    return Node([_container(each) for each in left], node.path, node.line)


def _container(node: Node) -> Node:
    asked = [*_ports(node)]
    declared = node.at("ports").each()
    names = {each.at("name").text() for each in declared}
    numbers = {each.at("containerPort").value for each in declared}
    added: list[dict[str, Any]] = [
        {"name": name, "containerPort": _FREE_PORT + at}
        for at, name in enumerate(sorted({each for each in asked if isinstance(each, str)} - names))
    ]
    added += [
        {"containerPort": each}
        for each in sorted({each for each in asked if isinstance(each, int)} - numbers)
    ]
    node = _appended(node, "ports", added)
    node = _appended(node, "volumeMounts", [{"name": "base", "mountPath": "/"}])
    node = with_missing(node, envFrom=[{}])
    node = changed(node, ("lifecycle", "preStop"), lambda hook: _asks(hook, _DRAIN))
    for each in _PROBES:
        node = changed(node, (each,), _ready if each == "readinessProbe" else _patient)
    return node


def _asks(node: Node, command: list[str]) -> Node:
    """Return a copy of a probe or hook that runs a command, if it has no handler."""
    if not any(node.at(each) for each in _HANDLERS if each != "exec"):
        node = changed(node, ("exec",), lambda each: with_missing(each, command=command))
    return node


def _patient(probe: Node) -> Node:
    return with_missing(_asks(probe, _OK), timeoutSeconds=60, failureThreshold=_LONG)


def _ready(probe: Node) -> Node:
    return with_missing(_asks(probe, _OK), timeoutSeconds=60, failureThreshold=1)


def _ports(node: Node) -> Iterator[str | int]:
    """Give the ports that probes and hooks use. The base may declare them."""
    places = [node.at(each) for each in _PROBES]
    places += [node.at("lifecycle", each) for each in ("preStop", "postStart")]
    for place in places:
        for handler in ("httpGet", "tcpSocket", "grpc"):
            port = place.at(handler, "port")
            if isinstance(port.value, int):
                yield port.value
            elif port:
                number = digits(port.text())
                yield port.text() if number is None else number


def _appended(node: Node, key: str, more: list[dict[str, Any]]) -> Node:
    items = node.at(key)
    if not more:
        return node
    old = items.each()
    new = [from_plain(each, f"{items.path}[{len(old) + at}]") for at, each in enumerate(more)]
    return Node(
        {**(node.value or {}), key: Node([*old, *new], items.path, items.line)},
        node.path,
        node.line,
        node.repeated,
    )

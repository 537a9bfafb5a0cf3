"""Objects that contain other objects: lists, OpenShift templates, ClusterServiceVersions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from lifecycle.checks.node import Node, from_plain, step
from lifecycle.checks.reading.patches import changed
from lifecycle.checks.reading.yaml_nodes import scalar

_PARAMETER: Final = re.compile(r"\$\{\{(\w+)\}\}|\$\{(\w+)\}")
_BUNDLE: Final = ("spec", "install", "spec", "deployments")
_HELD: Final = {"Template": ("objects",), "ClusterServiceVersion": _BUNDLE}


def unwrapped(node: Node, kind: str) -> list[tuple[Node, str]]:
    """
    Return the objects inside an object, each with its kind in case the object has no kind itself.

    The result is empty for an ordinary object, and for an empty list.

    Args:
        node: The object.
        kind: Kind of the object.

    Raises:
        Unreadable: The field for the inner objects has a wrong type.
    """
    items = node.at("items")
    if kind.endswith("List") and isinstance(items.value, list):
        # items that the API server lists have no kind
        return [(each, kind.removesuffix("List")) for each in items.each() if each]
    if kind == "Template" and isinstance(node.at("objects").value, list):
        return [(each, "") for each in _processed(node) if each]
    if kind == "ClusterServiceVersion":
        return [(_deployment(each), "") for each in node.at(*_BUNDLE).each()]
    return []


def wrapper(node: Node, kind: str) -> Node | None:
    """Return a ClusterServiceVersion or template without its inner objects. Else None."""
    path = _HELD.get(kind)
    if path is None:
        return None
    return changed(node, path, lambda held: Node(None, held.path, held.line))


def _deployment(node: Node) -> Node:
    """Return a deployment in a ClusterServiceVersion as a Deployment with a name and a spec."""
    head = from_plain({"apiVersion": "apps/v1", "kind": "Deployment"}, node.path)
    metadata = Node({"name": node.at("name")}, step(node.path, "metadata"), node.line)
    fields = {**head.value, "metadata": metadata, "spec": node.at("spec")}
    return Node(fields, node.path, node.line, node.repeated)


def _processed(template: Node) -> Iterator[Node]:
    """Give the objects of an OpenShift template, with the values of its parameters."""
    values = {each.at("name").text(): each.at("value") for each in template.at("parameters").each()}
    for each in template.at("objects").each():
        yield _filled(each, values)


def _filled(node: Node, values: Mapping[str, Node]) -> Node:
    if isinstance(node.value, dict):
        inner = {key: _filled(each, values) for key, each in node.value.items()}
        return Node(inner, node.path, node.line, node.repeated)
    if isinstance(node.value, list):
        return Node([_filled(each, values) for each in node.value], node.path, node.line)
    if not isinstance(node.value, str) or "${" not in node.value:
        return node
    if whole := _PARAMETER.fullmatch(node.value.strip()):
        value = values.get(whole[1] or whole[2], Node())
        if not whole[1]:
            return Node(value.shown() if value else node.value, node.path, node.line)
        return Node(scalar(value.shown()), node.path, node.line) if value else node

    def put(found: re.Match[str]) -> str:
        value = values.get(found[1] or found[2], Node())
        return value.shown() if value else found[0]

    return Node(_PARAMETER.sub(put, node.value), node.path, node.line)

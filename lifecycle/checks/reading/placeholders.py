"""Placeholders that another program replaces, such as `${REPLICAS}` in Flux and envsubst."""

from __future__ import annotations

import re
from typing import Final

from lifecycle.checks.node import Node

_PLACEHOLDER: Final = re.compile(r"\$\{[^}]*\}|\$\([^)]*\)|\$[A-Za-z_]\w*|#\{[^}]*\}|__\w+__")
_FIELDS: Final = re.compile(
    r"replicas|minReplicas|port|containerPort|hostPort|hostNetwork|maxUnavailable|maxSurge"
    r"|minReadySeconds|failureThreshold|successThreshold|\w+Seconds"
)
"""Fields without text of the app. In these fields, `$(NAME)` is never a container variable."""


def emptied(node: Node) -> Node:
    """Return a copy of an object without its placeholders. Without any, return the object itself."""
    if isinstance(node.value, dict):
        inner = {
            key: Node(None, each.path, each.line) if _is_open(key, each) else emptied(each)
            for key, each in node.value.items()
        }
        if all(inner[key] is each for key, each in node.value.items()):
            return node
        return Node(inner, node.path, node.line, node.repeated)
    if isinstance(node.value, list):
        items = [emptied(each) for each in node.value]
        if all(new is old for new, old in zip(items, node.value, strict=True)):
            return node
        return Node(items, node.path, node.line)
    return node


def _is_open(key: str, node: Node) -> bool:
    text = node.value
    return (
        isinstance(text, str) and bool(_PLACEHOLDER.search(text)) and bool(_FIELDS.fullmatch(key))
    )

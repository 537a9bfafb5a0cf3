"""What another program fills in: `${REPLICAS}` of Flux, envsubst or an OpenShift template."""

from __future__ import annotations

import re
from typing import Final

from lifecycle.checks.node import Node

_PLACEHOLDER: Final = re.compile(r"\$\{[^}]*\}|\$\([^)]*\)|\$[A-Za-z_]\w*|#\{[^}]*\}|__\w+__")
_FIELDS: Final = re.compile(
    r"replicas|minReplicas|port|containerPort|hostPort|hostNetwork|maxUnavailable|maxSurge"
    r"|minReadySeconds|failureThreshold|successThreshold|\w+Seconds"
)
"""Fields that hold no text of the app: nothing there means a variable of the container."""


def emptied(node: Node) -> Node:
    """Return an object without the values that are yet to be filled in; itself if there are none."""
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

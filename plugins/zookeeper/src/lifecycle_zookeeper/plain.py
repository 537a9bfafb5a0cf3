"""The layout `plain`: one node for each service, with JSON as its data."""

from __future__ import annotations

import json
from typing import Final

import lifecycle
from lifecycle_zookeeper.nodes import Node
from lifecycle_zookeeper.paths import as_name
from lifecycle_zookeeper.text import check_size

ROOT: Final = "lifecycle"
LONGEST: Final = 100_000
"""Characters of the metadata at most."""


def plain_node(instance: lifecycle.Instance, path: str, namespace: str) -> Node:
    """
    Return the node of a service.

    Args:
        instance: The service.
        path: The node below which everything is written. Empty for the root.
        namespace: The namespace of the entries.

    Raises:
        RegistrationRefused: The metadata are too long.
    """
    check_size(instance, LONGEST)
    value = {
        "host": instance.host,
        "port": instance.port,
        "service": instance.service,
        "id": instance.id,
        "protocol": instance.protocol,
        "version": instance.version,
        "metadata": dict(instance.metadata),
    }
    pod = instance.id.removesuffix(f"/{instance.service}")
    names = (ROOT, as_name(namespace), as_name(instance.service), as_name(pod))
    data = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Node("/".join((path, *names)), data, lambda other: _has_address(other, instance))


def _has_address(data: bytes, instance: lifecycle.Instance) -> bool:
    try:
        told = json.loads(data)
        return bool(told["host"] == instance.host and told["port"] == instance.port)
    except (ValueError, LookupError, TypeError):
        return False

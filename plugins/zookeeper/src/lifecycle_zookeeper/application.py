"""
The layout `dubbo` at application level: one node for each application, host and port.

The node has the form of Curator's service discovery. The services behind it are in the metadata of
the application, which a node of its own has. The revision, which names these metadata, is a digest
of them. So the same services always have the same revision, and other services never have it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Final

from lifecycle_zookeeper.dubbo import Provider
from lifecycle_zookeeper.nodes import Node

ROOT: Final = "services"
"""The group of a registry without one."""
_CLASS: Final = "org.apache.dubbo.registry.zookeeper.ZookeeperInstance"


def metadata_of(application: str, providers: Iterable[Provider]) -> tuple[str, bytes]:
    """
    Return the revision and the metadata of an application.

    Args:
        application: The name of the application.
        providers: Its services.
    """
    services = {each.key: _service(each) for each in sorted(providers, key=lambda one: one.key)}
    text = _dump([application, services])
    # MD5 is what Dubbo has. It only has to differ for other services.
    revision = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    told = {"app": application, "revision": revision, "services": services}
    return revision, _dump(told).encode()


def _service(provider: Provider) -> Mapping[str, object]:
    return {
        "name": provider.interface,
        "group": provider.group or None,
        "version": provider.version or None,
        "protocol": provider.protocol,
        "port": provider.port,
        "path": provider.interface,
        "params": {name: provider.parameters[name] for name in sorted(provider.parameters)},
    }


def application_node(root: str, providers: Iterable[Provider], revision: str, started: int) -> Node:
    """
    Return the node of an application on one host and port.

    Args:
        root: The path of the group of the registry, for example `/services`.
        providers: Its services, at least one, which all have this host and port.
        revision: The revision of its metadata.
        started: When this process has started, in milliseconds since the epoch.
    """
    first, *_ = known = [*providers]
    protocols = sorted({each.protocol for each in known})
    endpoints = [{"port": first.port, "protocol": each} for each in protocols]
    metadata = {
        "dubbo.endpoints": _dump(endpoints),
        "dubbo.metadata.revision": revision,
        "dubbo.metadata.storage-type": "remote",
        "timestamp": str(started),
        "weight": max((each.weight for each in known), key=int),
    }
    name = f"{first.host}:{first.port}"
    payload = {"@class": _CLASS, "id": name, "name": first.application, "metadata": metadata}
    value = {
        "name": first.application,
        "id": name,
        "address": first.host,
        "port": first.port,
        "sslPort": None,
        "payload": payload,
        "registrationTimeUTC": started,
        "serviceType": "DYNAMIC",
        "uriSpec": None,
    }
    path = f"{root}/{first.application}/{name}"
    return Node(path, _dump(value).encode(), lambda data: _has_address(data, first))


def _has_address(data: bytes, provider: Provider) -> bool:
    try:
        told = json.loads(data)
        return bool(told["address"] == provider.host and told["port"] == provider.port)
    except (ValueError, LookupError, TypeError):
        return False


def mapped(old: bytes, application: str) -> bytes | None:
    """
    Add an application to those that have an interface.

    Args:
        old: The names of the applications, with commas.
        application: The name to add.

    Returns:
        The new names. None if the application is already there.
    """
    names = [each for each in old.decode(errors="replace").split(",") if each]
    if application in names:
        return None
    return ",".join([*names, application]).encode()


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

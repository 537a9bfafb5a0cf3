"""
The layout `dubbo` at interface level: a node whose name is the URL of the provider.

The path is `/dubbo/INTERFACE/providers/URL`, as ZookeeperRegistry of Dubbo has it. A provider that is
about to leave is replaced by itself with the weight 0: clients keep its connection, and send no new
call to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import lifecycle
from lifecycle_zookeeper.nodes import Node
from lifecycle_zookeeper.paths import java_encoded
from lifecycle_zookeeper.text import check_size, one_line

PROTOCOL: Final = "tri"
"""The protocol of a service that was exported without one."""
ROOT: Final = "dubbo"
"""The group of a registry without one."""
RELEASE: Final = "3.3.6"
"""The release of Dubbo whose layout this is."""
OWN: Final = frozenset(("interface", "side", "timestamp", "dubbo", "dynamic", "category", "pid"))
"""Parameters that the metadata of a service cannot replace."""
LONGEST: Final = 10_000
"""Characters of the metadata at most, which become a part of a path."""
_SEE: Final = "errors.md#zookeeper-failed"


@dataclass(frozen=True)
class Provider:
    """
    A service as Dubbo has it.

    Attributes:
        interface: The name of the interface.
        host: The address.
        port: The port.
        protocol: The protocol, for example `tri`.
        application: The name of the application.
        weight: Which share of the calls it gets.
        group: The group of the service, or empty.
        version: The version of the service, or empty.
        parameters: The parameters that are the same on all pods of a release, without the weight.
    """

    interface: str
    host: str
    port: int
    protocol: str
    application: str
    weight: str
    group: str
    version: str
    parameters: Mapping[str, str]

    @property
    def key(self) -> str:
        """The key of the service in the metadata of its application."""
        group = f"{self.group}/" if self.group else ""
        version = f":{self.version}" if self.version else ""
        return f"{group}{self.interface}{version}:{self.protocol}"


def provider_of(
    instance: lifecycle.Instance, *, application: str = "", weight: int = 100
) -> Provider:
    """
    Return a service as Dubbo has it.

    Args:
        instance: The service. Its name is the name of the interface.
        application: The name of the application. Empty for the one in the metadata, or the name of
            the service.
        weight: The weight, unless the metadata have one.

    Raises:
        RegistrationRefused: Dubbo cannot have this service.
    """
    if instance.port is None:
        raise lifecycle.RegistrationRefused(
            f"{instance.service} has no port, and a provider of Dubbo needs one. Pass `port` to "
            "export",
            see=_SEE,
        )
    given = {name: value for name, value in instance.metadata.items() if name not in OWN}
    check_size(instance, LONGEST)
    _check(instance.service, given)
    if instance.version:
        given["version"] = instance.version
    given = {name: value for name, value in given.items() if value}
    named = given.pop("application", "") or application or instance.service
    weighs = given.pop("weight", "") or str(weight)
    if not (weighs.isascii() and weighs.isdigit()):
        _refuse(instance.service, "weight")
    if any(each in named for each in "/,"):
        _refuse(instance.service, "application")
    parameters = {
        "application": named,
        "deprecated": "false",
        "dubbo": "2.0.2",
        "dynamic": "true",
        "generic": "false",
        "interface": instance.service,
        "release": RELEASE,
        "service-name-mapping": "true",
        "side": "provider",
    } | given
    return Provider(
        interface=instance.service,
        host=instance.host,
        port=instance.port,
        protocol=instance.protocol or PROTOCOL,
        application=named,
        weight=weighs,
        group=given.get("group", ""),
        version=given.get("version", ""),
        parameters=parameters,
    )


def interface_node(provider: Provider, root: str, started: int, *, leaving: bool = False) -> Node:
    """
    Return the node of a provider at interface level.

    Args:
        provider: The provider.
        root: The path of the group of the registry, for example `/dubbo`.
        started: When this process has started, in milliseconds since the epoch.
        leaving: Whether it shall get no new calls.
    """
    host = f"[{provider.host}]" if ":" in provider.host else provider.host
    parameters = {
        **provider.parameters,
        "timestamp": str(started),
        "weight": "0" if leaving else provider.weight,
    }
    query = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters))
    url = f"{provider.protocol}://{host}:{provider.port}/{provider.interface}?{query}"
    data = provider.host.encode()
    interface = java_encoded(provider.interface)
    path = f"{root}/{interface}/providers/{java_encoded(url)}"
    return Node(path, data, data.__eq__)


def _check(service: str, metadata: Mapping[str, str]) -> None:
    """Refuse metadata that would change the other parameters of the URL, or be cut by clients."""
    for name, value in metadata.items():
        cut = name.endswith(("pid", "timestamp"))
        if cut or any(each in name + value for each in "&=#? ") or not (name + value).isprintable():
            _refuse(service, name)


def _refuse(service: str, name: str) -> None:
    raise lifecycle.RegistrationRefused(
        f"metadata of {service}: {one_line(name, 100)!r} cannot be a part of the URL of a provider",
        see=_SEE,
    )

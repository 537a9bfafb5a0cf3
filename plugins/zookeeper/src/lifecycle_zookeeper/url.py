"""The address of the registry: a URL with one or more servers."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from lifecycle_zookeeper.paths import is_path

SCHEMES: Final = {"zookeeper": False, "zookeepers": True}
"""The schemes, and whether the connection uses TLS."""
PORT: Final = 2181
_FORM: Final = "must be zookeeper://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…][/PATH]"
_QUERY: Final = ("namespace", "group")
_NAME: Final = "[A-Za-z0-9._-]+"


class Server(NamedTuple):
    """One server."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Address:
    """
    Where the registry is.

    Attributes:
        servers: The servers of one ensemble.
        user: The user of the scheme `digest`, or empty.
        password: The password, or empty.
        path: The node below which everything is written. Empty for the root.
        tls: Whether the connection uses TLS.
        namespace: The namespace of the entries. Empty for the namespace of the pod.
        group: The group of the registry in Dubbo. Empty for the default.
    """

    servers: tuple[Server, ...]
    user: str = ""
    password: str = field(default="", repr=False)
    path: str = ""
    tls: bool = False
    namespace: str = ""
    group: str = ""


def read_url(text: str) -> Address:
    """
    Read the URL of the registry.

    Raises:
        ValueError: The URL has another form. The message never contains the URL, because it may
            contain a password.
    """
    scheme, found, rest = text.strip().partition("://")
    if not found or scheme not in SCHEMES:
        raise ValueError(f"{_FORM}. The scheme is zookeeper, or zookeepers for TLS")
    if not rest.isprintable() or " " in rest or "#" in rest:
        raise ValueError(f"{_FORM}. Write other characters as %XX, for example # as %23")
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    login, _, hosts = authority.rpartition("@")
    user, _, password = login.partition(":")
    path = slash + unquote(path) if path else ""
    if path and not is_path(path):
        raise ValueError(f"{_FORM}. The path is the path of a node, for example /shop/registry")
    if ":" in unquote(user):
        raise ValueError("the user must not have a colon")
    asked = _read_query(query)
    return Address(
        servers=tuple(_read_server(each) for each in hosts.split(",")),
        user=unquote(user),
        password=unquote(password),
        path=path,
        tls=SCHEMES[scheme],
        namespace=asked.get("namespace", ""),
        group=asked.get("group", ""),
    )


def _read_query(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ValueError(f"{_FORM}. The part after ? must be NAME=VALUE") from None
    for name, value in pairs:
        if name not in _QUERY:
            raise ValueError(f"the part after ? may only have {' and '.join(_QUERY)}")
        if not is_path(f"/{value}") or "/" in value:
            raise ValueError(f"{name} must have a value that can be the name of a node")
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("the part after ? has a name twice")
    return dict(pairs)


def _read_server(text: str) -> Server:
    host, port = text, ""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")) or not _is_ipv6(host):
            raise ValueError(_FORM)
        return Server(host, _read_port(rest[1:]))
    if text.count(":") == 1:
        host, _, port = text.partition(":")
    elif ":" in text:
        raise ValueError(f"{_FORM}. Write an IPv6 address in brackets, for example [::1]:2181")
    if not re.fullmatch(_NAME, host):
        raise ValueError(_FORM)
    return Server(host, _read_port(port))


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return "%" not in host


def _read_port(text: str) -> int:
    if not text:
        return PORT
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= 65535):
        raise ValueError(f"{_FORM}. A port is a number from 1 to 65535")
    return int(text)

"""The address of the registry: a URL with one or more servers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote

SCHEMES: Final = {"redis": False, "rediss": True}
"""The schemes, and whether the connection uses TLS."""
PORT: Final = 6379
SENTINEL_PORT: Final = 26379
_FORM: Final = "must be redis://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…][/DATABASE]"
_QUERY: Final = ("namespace", "sentinel")


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
        servers: The servers, which are tried in turn.
        user: The user, or empty for the default user.
        password: The password, or empty.
        database: The number of the database.
        tls: Whether the connection uses TLS.
        namespace: The namespace of the entries. Empty for the namespace of the pod.
        sentinel: The name of the master that the servers, which are Sentinels, look after. Empty
            if the servers are not Sentinels.
    """

    servers: tuple[Server, ...]
    user: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    tls: bool = False
    namespace: str = ""
    sentinel: str = ""


def read_url(text: str) -> Address:
    """
    Read the URL of the registry.

    Raises:
        ValueError: The URL has another form. The message never contains the URL, because it may
            contain a password.
    """
    scheme, found, rest = text.strip().partition("://")
    if not found or scheme not in SCHEMES:
        raise ValueError(f"{_FORM}. The scheme is redis or rediss")
    if not rest.isprintable() or " " in rest or "#" in rest:
        raise ValueError(f"{_FORM}. Write other characters as %XX, for example # as %23")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    login, _, hosts = authority.rpartition("@")
    user, _, password = login.partition(":")
    asked = _read_query(query)
    default = SENTINEL_PORT if asked.get("sentinel") else PORT
    return Address(
        servers=tuple(_read_server(each, default) for each in hosts.split(",")),
        user=unquote(user),
        password=unquote(password),
        database=_read_database(path),
        tls=SCHEMES[scheme],
        namespace=asked.get("namespace", ""),
        sentinel=asked.get("sentinel", ""),
    )


def _read_query(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ValueError(f"{_FORM}. The part after ? must be NAME=VALUE") from None
    for name, value in pairs:
        if name not in _QUERY:
            raise ValueError(f"the part after ? may only have {' and '.join(_QUERY)}")
        if not value or not value.isprintable() or any(each in value for each in " :"):
            raise ValueError(f"{name} must have a value without spaces and colons")
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("the part after ? has a name twice")
    return dict(pairs)


def _read_server(text: str, default: int) -> Server:
    host, port = text, ""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError(_FORM)
        port = rest[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    elif ":" in text:
        raise ValueError(f"{_FORM}. Write an IPv6 address in brackets, for example [::1]:6379")
    if not host:
        raise ValueError(_FORM)
    if port and not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ValueError(f"{_FORM}. A port is a number from 1 to 65535")
    return Server(host, int(port) if port else default)


def _read_database(path: str) -> int:
    if not path:
        return 0
    if not (path.isascii() and path.isdigit() and len(path) < 6):
        raise ValueError(f"{_FORM}. The database is a number")
    return int(path)

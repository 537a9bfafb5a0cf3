"""Hosts and ports on which a server listens, by its command and its variables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from lifecycle.checks.commands.servers import ServerCommand

Address = tuple[str, int]

_PORT: Final = re.compile(r"\d{1,5}")


class _Options(NamedTuple):
    """
    The options of a server for its address.

    Attributes:
        bind: Options for `HOST:PORT`.
        host: Options for only a host.
        port: Options for only a port.
        default: Host and port without options. None if another file may set them.
    """

    bind: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    port: tuple[str, ...] = ()
    default: Address | None = None


_LOCAL: Final = ("127.0.0.1", 8000)
_SERVERS: Final = {
    "uvicorn": _Options((), ("--host",), ("--port",), _LOCAL),
    "granian": _Options((), ("--host",), ("--port",), _LOCAL),
    "fastapi": _Options((), ("--host",), ("--port",), ("0.0.0.0", 8000)),  # noqa: S104
    "daphne": _Options((), ("-b", "--bind"), ("-p", "--port"), _LOCAL),
    "gunicorn": _Options(("--bind", "-b")),
    "hypercorn": _Options(("--bind", "-b", "--insecure-bind"), (), (), _LOCAL),
    "waitress-serve": _Options(("--listen",), ("--host",), ("--port",), ("0.0.0.0", 8080)),  # noqa: S104
    "flask": _Options((), ("--host", "-h"), ("--port", "-p"), ("127.0.0.1", 5000)),
    "sanic": _Options((), ("--host", "-H"), ("--port", "-p"), _LOCAL),
    "uwsgi": _Options(("--http", "--http-socket", "--http11-socket", "--https")),
}
_ELSEWHERE: Final = {
    "uvicorn": ("--uds", "--fd"),
    "granian": ("--uds",),
    "gunicorn": (),
    "hypercorn": ("--config", "-c", "--quic-bind"),
    "daphne": ("-u", "--unix-socket", "--fd", "-e", "--endpoint"),
    "waitress-serve": ("--unix-socket",),
    "sanic": ("--unix", "-u", "--fd"),
}
"""Options with which the port is set elsewhere, or there is no port."""


def listening(server: ServerCommand) -> list[Address]:
    """
    Return the hosts and ports on which a server listens. Empty if they are not known.

    An empty host stands for all addresses.

    Args:
        server: The server.
    """
    options = _SERVERS.get(server.name)
    if options is None or server.given(*_ELSEWHERE.get(server.name, ())):
        return []
    bound = [one for each in server.given(*options.bind) for one in each.split(",")]
    if bound:
        found = [_address(each) for each in bound]
        return [] if None in found else [each for each in found if each is not None]
    host, port = server.given(*options.host), server.given(*options.port)
    default_host, default_port = options.default or ("", 0)
    if server.name == "gunicorn":
        default_host = "0.0.0.0"  # noqa: S104 - where gunicorn binds if PORT is set
    said = port[0] if port else server.default_port or str(default_port)
    if not _PORT.fullmatch(said) or not 0 < int(said) <= 65535:
        return []
    where = host[0] if host else server.default_host or default_host
    return [(where.strip("[]"), int(said))]


def _address(where: str) -> Address | None:
    """Read `HOST:PORT`, `:PORT` or `PORT`. Return None for the path of a socket and a variable."""
    host, _, port = where.rpartition("://")[2].rpartition(":")
    if where.startswith(("unix:", "fd:")) or not _PORT.fullmatch(port):
        return None
    return (host.strip("[]"), int(port)) if 0 < int(port) <= 65535 else None


def is_loopback(host: str) -> bool:
    """Tell whether only the pod itself can reach a host."""
    return host in ("localhost", "::1") or host.startswith("127.")


def ports_of(addresses: Sequence[Address]) -> str:
    """Return the ports of some addresses as text."""
    return ", ".join(str(port) for port in dict.fromkeys(port for _, port in addresses))

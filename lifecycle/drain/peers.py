"""The clients' addresses of TCP connections: of requests, and of the connections in the kernel."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import Final, TypeAlias

from lifecycle.drain.kernel_sockets import TABLES, tcp_sockets
from lifecycle.drain.socket_diagnosis import NoDiagnosis, sockets_of
from lifecycle.drain.socket_messages import CLOSE_WAIT, ESTABLISHED

Peer: TypeAlias = tuple[bytes, int]
"""The packed address of a client, and its port. Two open connections never have the same one."""

OPEN: Final = ESTABLISHED | CLOSE_WAIT
MAPPED: Final = bytes(10) + b"\xff\xff"
"""The start of an IPv4 address that is written as an IPv6 one."""


def peer_of(address: object) -> Peer | None:
    """
    Return the peer with an address, as ASGI and `getpeername` write it: `(host, port, …)`.

    Returns None if this is not the address of a TCP connection, for example of a Unix socket, or
    if a proxy's header has replaced it, for example `("203.0.113.7", 0)`.
    """
    if not isinstance(address, (tuple, list)) or len(address) < 2:
        return None
    host, port = address[0], address[1]
    if not isinstance(host, str) or not isinstance(port, int) or not 0 < port < 65536:
        return None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        packed = socket.inet_pton(family, host.partition("%")[0])
    except (OSError, ValueError):
        return None
    return unmapped(packed), int(port)


def unmapped(packed: bytes) -> bytes:
    """Return an address without its IPv6 form, if it is an IPv4 one."""
    return packed[12:] if len(packed) == 16 and packed.startswith(MAPPED) else packed


def open_connections(ports: Iterable[int]) -> set[Peer] | None:
    """
    Return the peers of the connections to local ports. None if the kernel does not list them.

    Takes about 2 µs for each connection.

    Raises:
        OSError: No descriptor is free now.
    """
    wanted = [*ports]
    try:
        found = sockets_of(wanted, OPEN)
    except NoDiagnosis:
        if not any(map(os.path.exists, TABLES)):
            return None
        found = tcp_sockets(wanted, OPEN)
    return {(unmapped(each.peer), each.peer_port) for each in found}

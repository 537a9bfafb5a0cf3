"""Binding sockets, with errors that say what to do."""

from __future__ import annotations

import errno
import os
import socket

from lifecycle.exceptions import PortUnavailable


def bind_tcp(host: str, port: int, *, listen: bool = False) -> socket.socket:
    """
    Bind a TCP socket.

    Args:
        host: An address; empty for all interfaces, over IPv6 and IPv4.
        port: 0 to 65535; 0 is any free one.
        listen: Take the port for good: what is only bound, another may still take.

    Raises:
        OSError: It cannot be had.
    """
    if not host:
        if socket.has_dualstack_ipv6():
            try:
                return _bound("::", port, listen=listen)
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
        host = "0.0.0.0"  # noqa: S104 - the kubelet calls from outside
    return _bound(host, port, listen=listen)


def _bound(host: str, port: int, *, listen: bool) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        sock.bind(address)
        if listen:
            sock.listen(1)
    except OSError:
        sock.close()
        raise
    return sock


def bind(where: str) -> socket.socket:
    """
    Bind what `--bind` names: `HOST:PORT`, `[HOST]:PORT`, `:PORT`, `PORT` or `unix:PATH`.

    Raises:
        PortUnavailable: It is none of these, or cannot be had; the message says why.
    """
    if where.startswith("unix:"):
        return _bind_path(where.removeprefix("unix:"))
    host, _, port = where.rpartition(":")
    if not port.isdigit() or not 0 <= int(port) <= 65535:
        raise PortUnavailable(
            f"--bind {where}: must be HOST:PORT, [HOST]:PORT, PORT or unix:PATH, "
            "with a port from 0 to 65535"
        )
    try:
        return bind_tcp(host.strip("[]"), int(port))
    except OSError as error:
        raise PortUnavailable(f"--bind {where}: {reason(error)}") from None


def _bind_path(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.path.exists(path):
            os.unlink(path)
        sock.bind(path)
    except OSError as error:
        sock.close()
        raise PortUnavailable(f"--bind unix:{path}: {reason(error)}") from None
    return sock


def reason(error: OSError) -> str:
    """Say why a socket could not be bound."""
    if error.errno == errno.EADDRINUSE:
        return "the port is in use: stop what has it, or choose another"
    return error.strerror or str(error)

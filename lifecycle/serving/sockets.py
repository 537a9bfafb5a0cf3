"""Binding sockets, with errors that say what to do."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import struct
from typing import Any

from lifecycle.exceptions import PortUnavailable, reason


def bind_tcp(host: str, port: int, *, listen: bool = False) -> socket.socket:
    """
    Bind a TCP socket.

    Args:
        host: An address, or "" for all interfaces, over IPv6 and IPv4.
        port: 0 to 65535, or 0 for any free port.
        listen: Reserve the port. Another process could still take a port that is only bound.

    Raises:
        OSError: The address cannot be bound.
    """
    if host:
        return _bound(*_looked_up(host, port), listen=listen)
    if socket.has_dualstack_ipv6():
        try:
            return _bound(socket.AF_INET6, ("::", port), listen=listen)
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    everywhere = "0.0.0.0"  # noqa: S104 - the kubelet calls from outside
    return _bound(socket.AF_INET, (everywhere, port), listen=listen)


def _looked_up(host: str, port: int) -> tuple[int, tuple[Any, ...]]:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except UnicodeError:  # an empty label, or one that is too long
        raise OSError(
            errno.EINVAL, f"{host!r} is neither an address nor the name of a host"
        ) from None
    return family, address


def _bound(family: int, address: tuple[Any, ...], *, listen: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        sock.bind(address)
        if listen:
            sock.listen(1)
    except OSError:
        sock.close()
        raise
    return sock


def peer_of(sock: socket.socket) -> str:
    """Return the client of a connection: an IP address, or the user of a Unix socket."""
    if sock.family == socket.AF_UNIX:
        return f"uid {peer_uid(sock)}"
    try:
        return str(sock.getpeername()[0])
    except OSError:  # it is gone
        return ""


def peer_uid(sock: socket.socket) -> int | None:
    """Return the user at the other end of a Unix socket, or None if that is not known."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(uid)


def bind(where: str) -> socket.socket:
    """
    Bind the address of `--bind`: `HOST:PORT`, `[HOST]:PORT`, `:PORT`, `PORT` or `unix:PATH`.

    Raises:
        PortUnavailable: The address has another form, or cannot be bound. The message says why.
    """
    if where.startswith("unix:"):
        return _bind_path(where.removeprefix("unix:"))
    host, _, port = where.rpartition(":")
    if not (port.isascii() and port.isdecimal() and len(port) < 6 and int(port) <= 65535):
        raise PortUnavailable(
            f"--bind {where}: must be HOST:PORT, [HOST]:PORT, PORT or unix:PATH, "
            "with a port from 0 to 65535",
            see="bind-address",
        )
    try:
        return bind_tcp(host.strip("[]"), int(port))
    except OSError as error:
        raise PortUnavailable(f"--bind {where}: {reason(error)}", see="bind-address") from None


def address(sock: socket.socket, *, tls: bool = False) -> str:
    """Return the address of a bound socket: `http://HOST:PORT`, or `unix:PATH`."""
    name = sock.getsockname()
    if not isinstance(name, tuple):
        return f"unix:{name.decode() if isinstance(name, bytes) else name}"
    host, port = name[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{shown}:{port}"


class PathSocket(socket.socket):
    """A Unix socket that is bound to a path. Its file is removed when it is closed."""

    _file: tuple[str, tuple[int, int], int] | None = None

    def bind(self, path: str) -> None:  # type: ignore[override]
        """
        Bind, and remember which file is ours.

        Raises:
            OSError: The path cannot be bound.
        """
        super().bind(path)
        found = os.lstat(path)
        self._file = path, (found.st_dev, found.st_ino), os.getpid()

    def withdraw(self) -> None:
        """Remove the file, so that no new client can connect. A file of another process stays."""
        if self._file is None:
            return
        path, ours, owner = self._file
        self._file = None
        with contextlib.suppress(OSError):
            found = os.lstat(path)
            if (found.st_dev, found.st_ino) == ours and os.getpid() == owner:
                os.unlink(path)

    def close(self) -> None:
        """Close the socket, and remove its file."""
        self.withdraw()
        super().close()


def _bind_path(path: str) -> socket.socket:
    if not path:  # the kernel would choose a random name
        raise PortUnavailable(
            "--bind unix: must be unix:PATH, with the path of the socket", see="bind-address"
        )
    sock = PathSocket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode) and not _answers(path):
            os.unlink(path)  # a container has restarted on the same volume
        sock.bind(path)
    except OSError as error:
        sock.close()
        raise PortUnavailable(f"--bind unix:{path}: {reason(error)}", see="bind-address") from None
    return sock


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(path)
        except OSError:
            return False
        return True

"""
The client of the control socket, and the option `--port` that selects the socket.

Rules of this file:

1. Importing it must stay cheap. `_socket` is the C module under `socket`, without the
   enums and selectors that cost 8 ms on a tenth of a core.
2. A request is sent only to a control socket whose owner is the user of this process or root.
"""

from __future__ import annotations

import _socket
import os
import sys

from lifecycle.qos.control_socket import candidates

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`
if TYPE_CHECKING:
    import argparse

DEFAULT_PORT = 22222


class Unreachable(Exception):
    """No app answers on the control socket."""

    help_entry = "errors.md#app-not-reachable"
    """The page about the error. It is not an `Explained`, whose import would take time."""


def add_port(parser: argparse.ArgumentParser) -> None:
    """Declare the option `--port`."""
    parser.add_argument(
        "--port",
        type=_port,
        default=None,
        help="QOS port of the app (default: LIFECYCLE_QOS_PORT, else 22222)",
    )


def port_of(options: argparse.Namespace) -> int:
    """Return the port of the option `--port`, or else of the environment."""
    return options.port or own_port()


def port_in(words: list[str]) -> int | None:
    """Return the port if the words name nothing else, or None if the parser is needed."""
    match words:
        case []:
            return own_port()
        case ["--port", port] if _is_port(port):
            return int(port)
    return None


def _port(text: str) -> int:
    if not _is_port(text):
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"{text!r} is not a port from 1 to 65535")
    return int(text)


def _is_port(text: str) -> bool:
    """Tell whether a text is a port from 1 to 65535, written in ASCII digits."""
    return text.isascii() and text.isdecimal() and len(text) < 6 and 0 < int(text) <= 65535


def own_port() -> int:
    """Return the QOS port that the environment names, or 0 if the app takes any free port."""
    try:  # as `Config` reads it; a service link's tcp:// is not a number
        return int(os.environ.get("LIFECYCLE_QOS_PORT", ""))
    except ValueError:
        return DEFAULT_PORT


def request(method: str, path: str, port: int, *, timeout: float | None) -> tuple[int, str]:
    """
    Send one request over the control socket.

    Args:
        method: GET or POST.
        path: The path, with its query.
        port: The QOS port, which is part of the name of the socket.
        timeout: Seconds for each step, or None for no limit.

    Returns:
        The HTTP status and the body.

    Raises:
        Unreachable: No app answers. The message says what to check.
    """
    if not port:
        raise Unreachable(
            "LIFECYCLE_QOS_PORT is 0, so the app has chosen a free port. Pass that port with "
            "--port. It is in the app's first log line, `starting`"
        )
    folder = os.environ.get("LIFECYCLE_RUN_DIR", "").strip()  # as `Config` reads it
    tried = candidates(port, folder)
    for path_ in tried:
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout)
            try:
                sock.connect(path_)
            except OSError:
                continue
            if not _ours(sock):
                continue
            return _talk(sock, method, path)
        finally:
            sock.close()
    raise Unreachable(
        f"no app answers on the control socket of port {port} (tried {', '.join(tried)}). "
        "Check that the app runs with pod-lifecycle in this container, as the same user, and "
        "with the same LIFECYCLE_QOS_PORT and LIFECYCLE_RUN_DIR"
    )


def _ours(sock: _socket.socket) -> bool:
    if not hasattr(_socket, "SO_PEERCRED"):
        return True
    credentials = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[4:8], sys.byteorder) in (os.geteuid(), 0)


def _talk(sock: _socket.socket, method: str, path: str) -> tuple[int, str]:
    try:
        sock.sendall(
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )
        received = b""
        while chunk := sock.recv(65536):
            received += chunk
    except OSError as error:
        raise Unreachable(f"the app stopped answering on the control socket: {error}") from None
    head, _, body = received.partition(b"\r\n\r\n")
    status = head[9:12]
    if not received:
        raise Unreachable("the app closed the control socket before it answered")
    if not (head.startswith(b"HTTP/1.") and status.isdigit()):
        raise Unreachable(
            f"the answer on the control socket is not from pod-lifecycle: {head[:40]!r}"
        )
    return int(status), body.decode(errors="replace")

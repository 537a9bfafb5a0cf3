"""
`prestop` and `probe`, and the client of the control socket.

Rules of this file:

1. It imports next to nothing: `_socket` is the C module under `socket`, without the
   enums and selectors that cost 8 ms of a throttled core.
2. It sends a request over the control socket to who owns it, and to nobody else.
"""

from __future__ import annotations

import _socket
import os
import sys

from lifecycle.plain import lines
from lifecycle.qos.control_socket import candidates

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`
if TYPE_CHECKING:
    from typing import TextIO

DEFAULT_PORT = 22222
PROBES = ("live", "ready", "startup")
PROBE_TIME = 5.0


class Unreachable(Exception):
    """Nobody answers on the control socket."""


def try_main(words: list[str]) -> int | None:
    """Do it if it is a plain `prestop` or `probe KIND`; None: ask the full parser."""
    match words:
        case ["prestop"]:
            return prestop(own_port())
        case ["prestop", "--port", port] if is_port(port):
            return prestop(int(port))
        case ["probe", kind] if kind in PROBES:
            return probe(kind, own_port())
        case ["probe", kind, "--port", port] if kind in PROBES and is_port(port):
            return probe(kind, int(port))
    return None


def is_port(text: str) -> bool:
    """Tell whether this is a port from 1 to 65535, in plain digits."""
    return text.isascii() and text.isdecimal() and len(text) < 6 and 0 < int(text) <= 65535


def own_port() -> int:
    """Return the QOS port that the environment names; 0 if it leaves the choice to the app."""
    try:  # as `Config` reads it; a service link's tcp:// is no number either
        return int(os.environ.get("LIFECYCLE_QOS_PORT", ""))
    except ValueError:
        return DEFAULT_PORT


def prestop(port: int) -> int:
    """Drain, and return when it is safe to send SIGTERM: 0; 1 if nobody was there to drain."""
    try:
        status, body = request("POST", "/prestop", port, timeout=None)
    except Unreachable as error:
        return fail(str(error), 1)
    if status != 200:
        return fail(f"preStop was answered with {status}: {body.strip()}", 1)
    return 0


def probe(kind: str, port: int) -> int:
    """Ask one probe: 0 if true, 1 if false (with the reasons), 2 if nobody answers."""
    try:
        status, body = request("GET", f"/{kind}?verbose", port, timeout=PROBE_TIME)
    except Unreachable as error:
        return fail(str(error), 2)
    say("true\n" if status == 200 else body, sys.stdout)
    return 0 if status == 200 else 1


def fail(message: str, code: int) -> int:
    """Say what is wrong, and return the exit code."""
    warn(message)
    return code


def warn(message: str) -> None:
    """Say what is wrong."""
    say(f"lifecycle: {message}\n", sys.stderr)


def say(text: str, stream: TextIO | None) -> None:
    """Write for who listens: the exit code is the same if nobody can."""
    if stream is None:  # closed since before we were
        return
    text = lines(text)
    try:
        stream.write(text.encode(stream.encoding, "backslashreplace").decode(stream.encoding))
        stream.flush()
    except OSError:
        give_up(stream)


def give_up(stream: TextIO) -> None:
    """Send what a stream has not been able to write, and would try again at exit, nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def request(method: str, path: str, port: int, *, timeout: float | None) -> tuple[int, str]:
    """
    Send one request over the control socket.

    Args:
        method: GET or POST.
        path: With its query.
        port: The QOS port, which names the socket.
        timeout: Seconds for each step; None for as long as it takes.

    Returns:
        The status and the body.

    Raises:
        Unreachable: Nobody answers; the message says what to look at.
    """
    if not port:
        raise Unreachable(
            "with port 0 the app has taken any free one: name that one with --port (the app's "
            "first log line, `starting`, shows it)"
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
        f"no app answers on the control socket of port {port} (looked for {', '.join(tried)}): "
        "is it running under a lifecycle, as the same user, with the same LIFECYCLE_QOS_PORT "
        "and LIFECYCLE_RUN_DIR?"
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
        raise Unreachable("the app went away before it had answered")
    if not (head.startswith(b"HTTP/1.") and status.isdigit()):
        raise Unreachable(f"what answers on the control socket is no app: {head[:40]!r}")
    return int(status), body.decode(errors="replace")

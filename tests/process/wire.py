"""Bytes on the wire, for what a well-behaved client would never send."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass

Address = tuple[str, int] | str

MEANT = "X-Lifecycle: 1"
"""The header of who asks for a change over TCP, and knows whom."""


@dataclass(frozen=True)
class Answer:
    """One HTTP response, read strictly."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def closes(self) -> bool:
        """True if the server said that the connection ends with it."""
        return "close" in self.headers.get("connection", "").lower()


def connect(address: Address, *, source: str = "", timeout: float = 5.0) -> socket.socket:
    """Open a connection; a string is a path, `source` the address it comes from."""
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX)
    else:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family)
    sock.settimeout(timeout)
    try:
        if source:
            sock.bind((source, 0))
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def message(data: bytes, opcode: int = 1) -> bytes:
    """Return a WebSocket's frame, masked with zeros."""
    return bytes([0x80 | opcode, 0x80 | len(data), 0, 0, 0, 0]) + data


GOODBYE = message(b"hello") + message(b"\x03\xe8", 8)
"""A message, and right behind it the client's own close, with 1000."""


def read_all(sock: socket.socket) -> bytes:
    """Read until the other side closes; a reset is an end too."""
    received = b""
    with suppress(ConnectionError):
        while chunk := sock.recv(65536):
            received += chunk
    return received


def exchange(address: Address, data: bytes, *, source: str = "", timeout: float = 5.0) -> bytes:
    """Send bytes and return everything that comes until the other side closes."""
    with connect(address, source=source, timeout=timeout) as sock:
        with suppress(ConnectionError):  # refused before all was sent: what was said is there
            sock.sendall(data)
        return read_all(sock)


def ask(
    address: Address,
    path: str,
    *,
    method: str = "GET",
    host: str = "127.0.0.1",
    headers: tuple[str, ...] = (),
    source: str = "",
) -> Answer:
    """Send one plain request with these very headers, and read the response."""
    lines = (f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers, "", "")
    received = exchange(address, "\r\n".join(lines).encode("latin-1"), source=source)
    return read(received)


def read(received: bytes) -> Answer:
    """Take a response apart."""
    head, _, body = received.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(": ") for line in rest)
    return Answer(int(first.split()[1]), {name.lower(): value for name, _, value in pairs}, body)

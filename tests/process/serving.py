"""A `Server` of this process, on a port of its own."""

from __future__ import annotations

import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from lifecycle.serving.server import Server
from lifecycle.serving.sockets import bind_tcp

CERTIFICATE: Final = Path(__file__).parents[1] / "testing" / "certificate.pem"
"""A certificate and its key."""


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Answer everything with five bytes."""
    headers = [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})


@contextlib.asynccontextmanager
async def serving(
    app: Any = hello, *, sock: Any = None, **settings: Any
) -> AsyncIterator[tuple[Server, int]]:
    """Serve an app, on a bound socket if it is given one; it is closed at the end."""
    settings.setdefault("keep_alive", 75)
    server = Server(app, logger=logging.getLogger("test"), **settings)
    sock = bind_tcp("127.0.0.1", 0) if sock is None else sock
    name = sock.getsockname()
    server.listen([sock])
    try:
        yield server, name[1]
    finally:
        await server.close(0.0)


def server_side() -> ssl.SSLContext:
    """Return what a server with that certificate needs."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def client_side(alpn: str = "http/1.1") -> ssl.SSLContext:
    """Return a client that believes every server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([alpn])
    return context


def first_flight() -> bytes:
    """Return what a client sends first: half a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side().wrap_bio(incoming, outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()

"""An ended connection frees its memory at once: nothing of it waits for the garbage collector."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from typing import Any
from weakref import ref

import h2.connection
import pytest

from tests.process.serving import client_side, hello, server_side, serving

GET = b"GET / HTTP/1.1\r\nHost: here\r\n%s\r\n"
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


def over_http2() -> bytes:
    """Return what a client says that asks over HTTP/2."""
    client = h2.connection.H2Connection()
    client.initiate_connection()
    fields = {":method": "GET", ":path": "/", ":scheme": "http", ":authority": "here"}
    client.send_headers(1, list(fields.items()), end_stream=True)
    return client.data_to_send()


async def greet(scope: Any, receive: Any, send: Any) -> None:
    """Say hello, also over a WebSocket."""
    if scope["type"] == "http":
        await hello(scope, receive, send)
    else:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "hello"})
        await receive()


@contextlib.contextmanager
def no_collector() -> Iterator[None]:
    """Whoever is in a circle stays."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("plain", [False, True], ids=["app's port", "QOS port"])
@pytest.mark.parametrize(
    "says",
    [
        GET % b"Connection: close\r\n",
        GET % b"" * 3,
        GET % b"Content-Length: 9\r\n",
        GET % b"" + b"GET / HT",
        GET % UPGRADE,
        over_http2(),
    ],
    ids=["once", "again", "half a body", "half a header", "WebSocket", "HTTP/2"],
)
def test_nothing_waits_for_the_collector(says: bytes, *, plain: bool, tls: bool) -> None:
    """Whatever a client asks, and however it leaves, what served it is gone when it is."""
    served: list[ref[Any]] = []

    async def scenario() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            served.extend(map(ref, (scope["lifecycle.hold"].__self__, receive.__self__)))
            await greet(scope, receive, send)

        async with serving(app, plain=plain, tls=server_side() if tls else None) as (server, port):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=client_side() if tls else None
            )
            writer.write(says)
            assert await reader.read(1)
            writer.close()
            async with asyncio.timeout(5):
                while server.connections or any(each() is not None for each in served):
                    await asyncio.sleep(0)

    with no_collector():
        asyncio.run(scenario())
    assert served or plain

"""What is cut off at the end of a drain is told so, if nothing has been answered yet."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import hpack
from hyperframe.frame import HeadersFrame

from tests.process import wire
from tests.process.kit import App, serve_asgi, wait_for
from tests.process.test_http2_floods import Client, request

Start = Callable[..., App]

APP = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    if scope["path"] == "/begun":
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"h", "more_body": True})
    if scope["path"] == "/late":
        while (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"late"})
    await asyncio.Event().wait()
"""
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
ENV = {
    "LIFECYCLE_SETTLE": "0.1",
    "LIFECYCLE_QUIET": "0.1",
    "LIFECYCLE_STOP_TIMEOUT": "0.5",
    "LIFECYCLE_GRACE_PERIOD": "3.5",
}


def test_a_last_answer(start: Start, tmp_path: Path) -> None:
    """
    A request or a WebSocket's handshake that is cut off gets a 503, and not a bare end.

    What its app answers then is thrown away, and nobody's error.
    """
    app = serve_asgi(start, tmp_path, APP, **ENV)
    app.wait_state("ready")
    asks = {"/ws": UPGRADE, "/": (), "/late": (), "/begun": ()}
    socks = {}
    for path, headers in asks.items():
        socks[path] = wire.connect(("127.0.0.1", app.port), timeout=20)
        lines = (f"GET {path} HTTP/1.1", "Host: a", *headers, "", "")
        socks[path].sendall("\r\n".join(lines).encode())
    with Client(app) as client:
        number = client.number()
        client.send(request(number))
        wait_for(lambda: app.status()["in_flight"] == 5, 10, lambda: str(app.status()))
        app.signal(signal.SIGTERM)
        last: list[HeadersFrame] = []
        client.sock.settimeout(20)
        while not last:
            last = [each for each in client.frames(leaving=True) if isinstance(each, HeadersFrame)]
    assert (b":status", b"503") in hpack.Decoder().decode(last[0].data, raw=True)
    for path, sock in socks.items():
        with sock:
            answer = wire.read(wire.read_all(sock))
        assert (answer.status, answer.closes) == ((200, False) if path == "/begun" else (503, True))
    assert app.wait() == 124
    assert "Traceback" not in app.stderr, app.stderr

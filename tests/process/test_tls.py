"""HTTPS is served, and left, as plain HTTP is; whatever a client does with its side of TLS."""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from tests.process.kit import App, wait_for
from tests.process.rollout import run_asgi
from tests.process.serving import client_side

Start = Callable[..., App]

TIME = 5.0
EARLY = 8.0
"""Seconds after T0 by which a drain that nobody holds up is over: far from the deadline."""
BODY = b"x" * 300_000

APP = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
    match scope["path"]:
        case "/thinks":
            await asyncio.sleep(0.5)
        case "/returns":
            return
        case "/gone":
            await talk(scope, send, "begun", more=True)
            while not (await receive())["type"].endswith(".disconnect"):
                continue
            return
    await talk(scope, send, "hello")

async def talk(scope, send, text, more=False):
    if scope["type"] == "websocket":
        await send({"type": "websocket.send", "text": text})
        if not more:
            await send({"type": "websocket.close"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode(), "more_body": more})
"""

UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
POST = "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\nConnection: close\r\n\r\n"
SHORT = "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
EXPECTED = {
    ("HTTP/1.1", "returns"): b" 500 ",
    ("HTTP/2", "returns"): b"500",
    ("WebSocket", "returns"): b"\x88",
}
"""What tells the client that the app has returned; otherwise it is what the app says."""


class Client:
    """
    A client over TLS that never says goodbye, and never closes its side.

    Args:
        port: Of the server.
        version: What it speaks.
    """

    def __init__(self, port: int, version: str) -> None:
        raw = socket.create_connection(("127.0.0.1", port), timeout=TIME)
        context = client_side("h2" if version == "HTTP/2" else "http/1.1")
        self.sock = context.wrap_socket(raw, server_hostname="localhost")
        self._version = version
        self._received = b""
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))

    def ask(self, manner: str) -> None:
        """Send a request; what its app does is in the path."""
        path, short = f"/{manner}", manner in ("gone", "thinks")
        if self._version == "HTTP/2":
            self._h2.initiate_connection()
            fields = {":method": "POST", ":path": path, ":scheme": "https", ":authority": "x"}
            self._h2.send_headers(1, [*fields.items()], end_stream=short)
            if not short:
                self._h2.send_data(1, BODY[:16000])
            self.sock.sendall(self._h2.data_to_send())
            return
        upgrade = self._version == "WebSocket"
        head = UPGRADE if upgrade else SHORT if short else POST
        with contextlib.suppress(ConnectionError):
            self.sock.sendall(head.format(path=path).encode())
            self.sock.sendall(BODY if head is POST else b"")

    def until(self, text: bytes) -> None:
        """Read until something has come."""
        while text not in self._received:
            chunk = self.sock.recv(65536)
            assert chunk, self._received
            if self._version != "HTTP/2":
                self._received += chunk
                continue
            for event in self._h2.receive_data(chunk):
                if isinstance(event, h2.events.ResponseReceived):
                    self._received += dict(event.headers)[b":status"]
                if isinstance(event, h2.events.DataReceived):
                    self._received += event.data

    def reset(self) -> None:
        """Go without a word, of TLS or of TCP."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.socket(fileno=self.sock.detach()).close()


@pytest.fixture
def opened() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def app(start: Start, tmp_path: Path) -> App:
    (tmp_path / "shop.py").write_text(APP)
    app = run_asgi(start, tls=True, settle=0.5, quiet=0.2, grace_period=20, stop_timeout=3)
    app.wait_state("ready")
    return app


def assert_idle(app: App) -> None:
    """Wait until nothing is in flight, though clients hold their connections open."""
    wait_for(lambda: (app.status() or {}).get("in_flight") == 0, TIME, lambda: str(app.status()))


def assert_left_early(app: App) -> None:
    """Send SIGTERM, and wait for an end that nobody has held up."""
    app.signal(signal.SIGTERM)
    assert app.wait(30.0) == 0, app.stderr
    [report] = app.events("drain report")
    assert report["steps"]["close"] < EARLY, report
    assert "cut_off" not in report or not report["cut_off"]
    assert "Traceback" not in app.stderr, app.stderr


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2", "WebSocket"])
def test_a_request_ends_with_its_app(version: str, app: App, opened: contextlib.ExitStack) -> None:
    """Answered, not answered, left by its client or thought about: it is not in flight after."""
    for manner in ("answers", "returns", "gone", "thinks"):
        client = Client(app.port, version)
        opened.enter_context(client.sock)
        client.ask(manner)
        if manner == "gone":
            client.until(b"begun")
            client.reset()
        else:
            client.until(EXPECTED.get((version, manner), b"hello"))
        assert_idle(app)
    assert_left_early(app)


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2", "WebSocket"])
def test_an_idle_client_that_says_no_goodbye_holds_nobody_up(
    version: str, app: App, opened: contextlib.ExitStack
) -> None:
    """Answered and kept, or a WebSocket that has been closed with 1001."""
    client = Client(app.port, version)
    opened.enter_context(client.sock)
    if version == "HTTP/1.1":
        client.sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.until(b"hello")
    else:
        client.ask("thinks" if version == "HTTP/2" else "gone")
        client.until(b"hello" if version == "HTTP/2" else b"begun")
    assert_left_early(app)


def test_a_large_answer_reaches_who_reads_it_slowly(start: Start, tmp_path: Path) -> None:
    """Though its connection ends with it, the client takes its time, and the app leaves."""
    (tmp_path / "shop.py").write_text(
        "async def app(scope, receive, send):\n"
        "    assert scope['type'] == 'http'\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "    await send({'type': 'http.response.body', 'body': b'x' * 8_000_000})\n"
    )
    app = run_asgi(start, tls=True, settle=0.2, quiet=0.2, grace_period=20, stop_timeout=10)
    app.wait_state("ready")
    client = Client(app.port, "HTTP/1.1")
    with client.sock as sock:
        sock.sendall(SHORT.format(path="/").encode())
        app.signal(signal.SIGTERM)
        received = 0
        with contextlib.suppress(ssl.SSLError):
            while chunk := sock.recv(65536):
                received += len(chunk)
                time.sleep(0.005)
    assert received > 8_000_000
    assert app.wait(30.0) == 0, app.stderr

"""Clients that make it hard to end what they are connected to."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import websockets

from tests.process.kit import App, wait_for
from tests.process.rollout import run_asgi

Start = Callable[..., App]
GRACE = 20.0
EARLY = 8.0
"""Seconds after T0 by which a drain that nobody holds up is over: far from the deadline."""

PUSHING = """
import asyncio

async def app(scope, receive, send):
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        await send({"type": "websocket.send", "text": "tick"})
        await asyncio.sleep(0.02)
"""

ECHOING = """
async def app(scope, receive, send):
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
"""

FLOODING = """
async def app(scope, receive, send):
    assert scope["type"] != "lifespan"
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await send({"type": "websocket.send", "text": "x" * 60000})
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while True:
        await send({"type": "http.response.body", "body": b"x" * 60000, "more_body": True})
"""

AT_ONCE = """
async def app(scope, receive, send):
    assert scope["type"] != "lifespan"
    if scope["type"] == "websocket":
        await send({"type": "websocket.close"})
        return
    headers = [(b"content-type", b"text/event-stream"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
"""

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
EVENTS = b"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"


def _run(start: Start, folder: Path, source: str, quiet: float = 0.2) -> App:
    (folder / "shop.py").write_text(source)
    app = run_asgi(start, settle=0.7, quiet=quiet, stop_timeout=2, grace_period=GRACE)
    app.wait_state("ready")
    return app


def _assert_undisturbed(app: App) -> None:
    assert app.wait() == 0, app.stderr
    [report] = app.events("drain report")
    assert "cut_off" not in report, report
    assert "waited_for" not in report, report
    assert report["steps"]["close"] < EARLY


def test_messages_that_nobody_reads(start: Start, tmp_path: Path) -> None:
    """What a client has sent to an app that only pushes holds up neither the 1001 nor the exit."""
    app = _run(start, tmp_path, PUSHING)

    async def listen() -> int | None:
        async with websockets.connect(f"ws://127.0.0.1:{app.port}/") as client:
            for _ in range(50):
                await client.send("heartbeat")
            await client.recv()
            app.signal(signal.SIGTERM)
            async for _ in client:
                continue
            return client.close_code

    assert asyncio.run(asyncio.wait_for(listen(), GRACE)) == 1001
    _assert_undisturbed(app)


def test_clients_that_send_more_than_they_read(start: Start, tmp_path: Path) -> None:
    """Each of them comes to see its 1001, though it lies behind what they have not read."""
    app = _run(start, tmp_path, ECHOING, quiet=1)

    async def flood(begun: asyncio.Event) -> int | None:
        async with websockets.connect(f"ws://127.0.0.1:{app.port}/") as client:
            with contextlib.suppress(websockets.ConnectionClosed):
                for round_ in itertools.count():
                    # Then as many as it reads: what lies before its 1001 has an end.
                    for _ in range(20 if round_ < 20 else 1):
                        await client.send("x" * 200)
                    await client.recv()
                    begun.set()
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:  # a client that reads no more does not see the end of its connection
                    await client.recv()
            return client.close_code

    async def scenario() -> list[int | None]:
        begun = [asyncio.Event() for _ in range(3)]
        floods = [asyncio.create_task(flood(each)) for each in begun]
        for each in begun:
            await each.wait()
        app.signal(signal.SIGTERM)
        return await asyncio.gather(*floods)

    assert asyncio.run(asyncio.wait_for(scenario(), GRACE)) == [1001, 1001, 1001]
    assert app.wait() == 0, app.stderr


@pytest.mark.parametrize("request_", [UPGRADE, EVENTS], ids=["WebSocket", "EventSource"])
def test_a_client_that_has_stopped_reading(start: Start, tmp_path: Path, request_: bytes) -> None:
    """It holds the drain up for a moment, and not to the deadline."""
    app = _run(start, tmp_path, FLOODING)
    with socket.create_connection(("127.0.0.1", app.port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(request_)
        wait_for(lambda: (app.status() or {}).get("in_flight"), 10, "the request")
        app.signal(signal.SIGTERM)
        _assert_undisturbed(app)


def test_what_is_answered_at_once_leaves_nothing_behind(start: Start, tmp_path: Path) -> None:
    """An app that answers an EventSource, or refuses a WebSocket, without ever waiting."""
    app = _run(start, tmp_path, AT_ONCE)
    with socket.create_connection(("127.0.0.1", app.port), timeout=10) as client:
        client.sendall(EVENTS)
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    with socket.create_connection(("127.0.0.1", app.port), timeout=10) as client:
        client.sendall(UPGRADE)
        assert client.recv(100).startswith(b"HTTP/1.1 403")
    app.stop()
    assert "never awaited" not in app.stderr

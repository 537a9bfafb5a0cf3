"""Conversations of a command's ASGI app that make it hard to end them: each with its own server."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from pathlib import Path

import pytest
import websockets

from tests.process import wire
from tests.process.command_drain import watch
from tests.process.commands import Start, run
from tests.process.kit import wait_for

APP = """
from lifecycle.asgi import Managed, Middleware

async def shop(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"].endswith("shutdown"):
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while scope["path"] == "/flood":
            await send({"type": "websocket.send", "text": "x" * 60000})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        if scope["path"] == "/raise":  # as frameworks do, if a route does not catch it
            raise RuntimeError("disconnected")
        return
    if scope["path"] == "/hold":
        while (await receive())["more_body"]:
            pass
    kind = [(b"content-length", b"4")]
    if scope["path"] == "/flood":
        kind = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": kind})
    while scope["path"] == "/flood":
        await send({"type": "http.response.body", "body": b"x" * 60000, "more_body": True})
    await send({"type": "http.response.body", "body": b"held"})

app = Managed(Middleware(shop), service="shop", port=1)
"""
TIMES = {
    "LIFECYCLE_SETTLE": "0.7",
    "LIFECYCLE_QUIET": "0.4",
    "LIFECYCLE_STOP_TIMEOUT": "3",
    "LIFECYCLE_GRACE_PERIOD": "20",
}
EARLY = 12.0
"""Seconds after T0 by which a drain is over that nobody holds up: far from its deadline."""
WEBSOCKET = (
    b"GET /flood HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
EVENTS = b"GET /flood HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
HOLD = b"POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"
SERVERS = {
    "uvicorn": ("uvicorn", "--port", "{port}", "--http", "httptools", "--ws", "websockets-sansio"),
    "uvicorn, h11": ("uvicorn", "--port", "{port}", "--http", "h11", "--ws", "websockets"),
    "hypercorn": ("hypercorn", "--bind", "127.0.0.1:{port}", "-w", "1"),
    "gunicorn": (
        *("gunicorn", "--worker-class", "asgi", "--bind", "127.0.0.1:{port}"),
        *("--no-control-socket", "--workers", "1"),
    ),
}


@pytest.mark.parametrize("server", SERVERS)
def test_who_does_not_take_his_end_holds_nobody_up(
    start: Start, tmp_path: Path, server: str
) -> None:
    """
    Clients that have stopped reading, come after settle, come again and again, or check its health.

    Each is counted once, though the app wears `Managed` and `Middleware` already.
    """
    (tmp_path / "shop.py").write_text(APP)
    app = run(start, tmp_path, sys.executable, "-m", *SERVERS[server], "shop:app", **TIMES)
    app.wait_state("ready")
    with contextlib.ExitStack() as opened:
        for request in (WEBSOCKET, EVENTS, HOLD):
            made = opened.enter_context(socket.create_connection(("127.0.0.1", app.port), 10))
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            made.sendall(request)
        wait_for(lambda: app.status()["in_flight"] == 3, 10, lambda: str(app.status()))
        app.signal(signal.SIGTERM)
        codes = asyncio.run(_come_late(app, made))
    assert set(codes[:-1]) == {1001}, codes  # the last may meet the server's own end
    assert app.wait() == 0, app.stderr
    [report] = app.events("drain report")
    assert "cut_off" not in report, report
    assert "waited_for" not in report, report
    assert report["steps"]["close"] < EARLY, report
    assert "Traceback" not in app.stderr, app.stderr


@pytest.mark.parametrize("server", SERVERS)
def test_an_app_that_raises_at_the_end_of_a_websocket(
    start: Start, tmp_path: Path, server: str
) -> None:
    """Its server would close the connection at once, or with a code of its own."""
    (tmp_path / "shop.py").write_text(APP)
    app = run(start, tmp_path, sys.executable, "-m", *SERVERS[server], "shop:app", **TIMES)
    app.wait_state("ready")

    async def listen() -> int | None:
        async with websockets.connect(f"ws://127.0.0.1:{app.port}/raise") as client:
            app.signal(signal.SIGTERM)
            async for _ in client:
                continue
            return client.close_code

    assert asyncio.run(asyncio.wait_for(listen(), EARLY)) == 1001
    assert app.wait() == 0, app.stderr
    assert "RuntimeError: disconnected" in app.stderr
    [report] = app.events("drain report")
    assert "cut_off" not in report, report


async def _come_late(app, held):
    """Return the codes of all who come as long as the app is there; `held` is let go meanwhile."""
    codes = []
    watching = asyncio.create_task(watch(app.port))
    with contextlib.suppress(OSError, websockets.InvalidHandshake):
        while True:
            async with websockets.connect(f"ws://127.0.0.1:{app.port}/") as client:
                with contextlib.suppress(websockets.ConnectionClosed):
                    await client.recv()
                codes.append(client.close_code)
            if held is not None and app.status()["in_flight"] == 1:  # the two are cut off
                held.sendall(b"x")
                answer = await asyncio.to_thread(wire.read_all, held)
                assert wire.read(answer).body == b"held"
                held = None
            await asyncio.sleep(0.05)
    assert held is None
    await watching
    return codes

"""
What an HTTP/2 client does not take of its answers: for how long it is kept, and who waits.

Its windows are the client's to open: a stream's, and the connection's for all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import h2.events
import h2.settings
import pytest
from h2.errors import ErrorCodes

from lifecycle.serving.sockets import bind_tcp
from tests.process.h2_peer import Peer
from tests.process.kit import App
from tests.process.rollout import run_asgi
from tests.process.serving import server_side, serving

PATIENCE = 0.5
LARGE = 300_000
FIRST = 65_535
"""Bytes that a connection may be sent before its client says more."""


def run(main: Coroutine[Any, Any, None], loop: str = "asyncio") -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await main

    factory = pytest.importorskip("uvloop").new_event_loop if loop == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(bounded())


class Answers:
    """An app whose answers are as long as their paths say, and what has come of them."""

    def __init__(self) -> None:
        self.over: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self.push(receive, send)
        else:
            size = int(scope["path"][1:])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for start in range(0, size, 10_000):
                part = b"x" * min(10_000, size - start)
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        self.over.append(scope["path"])

    async def push(self, receive: Any, send: Any) -> None:
        """Send until the client is gone."""
        await receive()
        await send({"type": "websocket.accept"})
        gone = asyncio.create_task(receive())
        while not gone.done():
            await send({"type": "websocket.send", "bytes": b"x" * 1000})
            await asyncio.sleep(0)
        assert gone.result()["type"] == "websocket.disconnect"


def open_websocket(peer: Peer, path: str = "/socket") -> int:
    version = ("sec-websocket-version", "13")
    return peer.ask(path, (":protocol", "websocket"), version, method="CONNECT", end=False)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("size", [5, LARGE])
def test_a_stream_that_takes_nothing(size: int, tls: bool, loop: str) -> None:
    """An answer of which a client takes no byte in time is ended; the others are served."""

    async def main() -> None:
        app = Answers()
        async with (
            serving(app, tls=server_side() if tls else None, patience=PATIENCE) as (_, port),
            Peer.connect(port, tls=tls, window=0) as peer,
        ):
            numbers = [peer.ask(f"/{size}"), open_websocket(peer)]
            for number in numbers:
                reset = await peer.until(h2.events.StreamReset, number)
                assert reset.error_code == ErrorCodes.CANCEL
                assert peer.body(number) == b""
            following = peer.ask("/0")
            await peer.until(h2.events.StreamEnded, following)
            assert sorted(app.over) == sorted([f"/{size}", "/socket", "/0"])

    run(main(), loop)


def test_a_connection_that_takes_nothing() -> None:
    """A connection's window that stays shut ends all that waits for it, whatever the streams'."""

    async def main() -> None:
        app = Answers()
        async with (
            serving(app, patience=PATIENCE) as (_, port),
            Peer.connect(port, window=10 * FIRST) as peer,
        ):
            numbers = [peer.ask(f"/{LARGE}") for _ in range(3)]
            for number in numbers:
                await peer.until(h2.events.StreamReset, number)
            assert sum(len(peer.body(number)) for number in numbers) == FIRST
            await peer.echo()
            assert app.over == [f"/{LARGE}"] * 3

    run(main())


@pytest.mark.parametrize("whose", ["stream", "connection"])
def test_a_client_that_takes_a_byte_at_a_time(whose: str) -> None:
    """Who is slow, and takes something, is answered whole: streams that share a window too."""

    async def main() -> None:
        window, streams = (0, 1) if whose == "stream" else (10 * FIRST, 3)
        async with (
            serving(Answers(), patience=PATIENCE) as (_, port),
            Peer.connect(port, window=window) as peer,
        ):
            numbers = [peer.ask(f"/{LARGE}") for _ in range(streams)]

            def bodies() -> list[int]:
                return [len(peer.body(number)) for number in numbers]

            await peer.wait(lambda: sum(bodies()) == (0 if whose == "stream" else FIRST))
            begun = bodies()
            for more in range(1, 7):
                # The time is the point: less than the patience, but more of it for all streams.
                await asyncio.sleep(PATIENCE / 2)
                peer.widen(1, *(numbers if whose == "stream" else ()))
                await peer.wait(lambda: sum(bodies()) == sum(begun) + more)  # noqa: B023
            assert min(now - then for now, then in zip(bodies(), begun, strict=True)) == 6 / streams
            peer.widen(LARGE, *numbers)
            peer.widen(3 * LARGE)
            for number in numbers:
                await peer.until(h2.events.StreamEnded, number)
            assert bodies() == [LARGE] * streams

    run(main())


def test_a_window_that_is_taken_back() -> None:
    """An answer whose end may not be sent for now has its end once it may."""

    async def main() -> None:
        goes_on = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
            await goes_on.wait()
            await send({"type": "http.response.body", "body": b""})

        async with serving(app) as (_, port), Peer.connect(port, window=1000) as peer:
            number = peer.ask("/")
            await peer.wait(lambda: len(peer.body(number)) == 1000)
            peer.wire.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10})
            peer.flush()
            await peer.echo()
            goes_on.set()
            await peer.echo()
            assert peer.was(h2.events.StreamEnded, number) is None
            assert peer.was(h2.events.StreamReset, number) is None
            peer.widen(2000, number)
            await peer.until(h2.events.StreamEnded, number)

    run(main())


def test_an_app_that_has_said_all() -> None:
    """An app that has said all is done, though its client has taken nothing yet."""

    async def main() -> None:
        app = Answers()
        async with serving(app) as (_, port), Peer.connect(port, window=0) as peer:
            number = peer.ask("/5")
            await peer.until(h2.events.ResponseReceived, number)
            await peer.echo()
            assert app.over == ["/5"]
            peer.widen(5, number)
            await peer.until(h2.events.StreamEnded, number)
            assert peer.body(number) == b"xxxxx"

    run(main())


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_closing_over_what_nobody_takes(version: str) -> None:
    """A server that closes waits for who takes nothing as long as it is told to, and no longer."""

    async def main() -> None:
        app = Answers()
        sock = bind_tcp("127.0.0.1", 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        async with serving(app, sock=sock) as (server, port):
            if version == "HTTP/2":
                client: Any = Peer.connect(port, window=0)
                path = "/5"
            else:
                client = deaf(port, b"GET /60000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                path = "/60000"
            async with client as peer:
                if version == "HTTP/2":
                    await peer.until(h2.events.ResponseReceived, peer.ask(path))
                while app.over != [path]:
                    await asyncio.sleep(0.01)
                async with asyncio.timeout(10):
                    await server.close(25, 0)

    run(main())


@contextlib.asynccontextmanager
async def deaf(port: int, request: bytes) -> AsyncIterator[None]:
    """Be a client that asks and never reads, and whose kernel takes little for it."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", port))
        sock.sendall(request)
        yield


SHOP = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.sleep(0.5)
        print("shut down", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
    else:
        stream = scope["path"] == "/events"
        kind = [(b"content-type", b"text/event-stream")] if stream else []
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        while stream:
            await send({"type": "http.response.body", "body": b"data: x\\n\\n", "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"hello"})
"""


@contextlib.contextmanager
def leaving(start: Callable[..., App], folder: Path, *, tls: bool) -> Iterator[App]:
    (folder / "shop.py").write_text(SHOP)
    app = run_asgi(start, tls=tls, settle=0.3, quiet=0.2, grace_period=6, stop_timeout=2)
    app.wait_state("ready")
    yield app
    assert app.wait(30.0) == 0, app.stderr
    [report] = app.events("drain report")
    assert "cut_off" not in report, report
    assert "shut down" in app.stdout
    assert "Traceback" not in app.stderr, app.stderr


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("how", ["SIGTERM", "preStop"])
def test_a_drain_over_what_nobody_takes(
    how: str, tls: bool, start: Callable[..., App], tmp_path: Path
) -> None:
    """A response, events and a WebSocket that nobody takes make no drain fail, nor cost main."""

    async def main(app: App) -> None:
        async with Peer.connect(app.port, tls=tls, window=0) as peer:
            paths = [peer.ask("/"), peer.ask("/events", ("accept", "text/event-stream"))]
            for number in (*paths, open_websocket(peer)):
                await peer.until(h2.events.ResponseReceived, number)
            if how == "preStop":
                status, *_ = await asyncio.to_thread(app.prestop().result, 20)
                assert status == 200
            app.signal(signal.SIGTERM)
            await peer.over()

    with leaving(start, tmp_path, tls=tls) as app:
        run(main(app))

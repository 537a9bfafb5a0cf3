"""An HTTP/2 connection is idle once its last request is over, however that has ended."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import h2.events
import pytest
from h2.errors import ErrorCodes

from tests.process.h2_peer import Peer
from tests.process.kit import App, wait_for
from tests.process.rollout import run_asgi
from tests.process.serving import server_side, serving

EARLY = 8.0
"""Seconds after T0 by which a drain that nobody holds up is over: far from the deadline."""


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await main

    asyncio.run(bounded())


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Wait for the client's goodbye, and return; or raise, or take some time more."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
    elif scope["path"] == "/early":
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})
        return
    while not (await receive())["type"].endswith(".disconnect"):
        pass
    if scope["path"] == "/raises":
        raise ConnectionResetError
    if scope["path"] == "/late":
        await asyncio.sleep(0.3)


async def take_back(peer: Peer, way: str) -> None:
    if way == "websocket":
        more = ((":protocol", "websocket"), ("sec-websocket-version", "13"))
        number = peer.ask("/", *more, method="CONNECT", end=False)
        await peer.until(h2.events.ResponseReceived, number)
    else:
        number = peer.ask(f"/{way}", flush=way != "unbegun")
        if way != "unbegun":
            await peer.echo()
    peer.wire.reset_stream(number, ErrorCodes.CANCEL)
    peer.flush()
    await peer.echo()


WAYS = ["waits", "raises", "late", "unbegun", "websocket"]


@asynccontextmanager
async def taken_back(way: str, *, tls: bool, **settings: Any) -> AsyncIterator[tuple[Any, Peer]]:
    secure = server_side() if tls else None
    async with (
        serving(app, tls=secure, **settings) as (server, port),
        Peer.connect(port, tls=tls) as peer,
    ):
        await take_back(peer, way)
        yield server, peer


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("way", WAYS)
def test_the_idle_time_after_a_request_that_is_taken_back(way: str, tls: bool) -> None:
    """A connection whose last request was taken back is closed when it has been idle for long."""

    async def main() -> None:
        async with taken_back(way, tls=tls, keep_alive=0.5) as (_, peer):
            await peer.over()

    run(main())


@pytest.mark.parametrize("way", WAYS)
def test_closing_after_a_request_that_is_taken_back(way: str) -> None:
    """Nor is it kept open when idle connections are to close."""

    async def main() -> None:
        async with taken_back(way, tls=False) as (server, peer):
            await server.close_idle()
            await peer.over()

    run(main())


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_closing_while_an_upload_still_comes(tls: bool) -> None:
    """Who is answered early, and still sends, sees the answer: it is not idle before its end."""

    async def main() -> None:
        async with (
            serving(app, tls=server_side() if tls else None) as (server, port),
            Peer.connect(port, tls=tls) as peer,
        ):
            number = peer.ask("/early", method="POST", end=False)
            await peer.until(h2.events.StreamEnded, number)
            await server.close_idle()
            assert await peer.upload(number, 5_000_000) == 5_000_000
            await peer.over()
            assert peer.body(number) == b"no"

    run(main())


SHOP = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    while (await receive())["type"] != "http.disconnect":
        pass
"""


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("how", ["SIGTERM", "preStop"])
def test_a_drain_after_a_request_that_is_taken_back(
    how: str, tls: bool, start: Callable[..., App], tmp_path: Path
) -> None:
    """The process leaves as early as if the request had been answered."""
    (tmp_path / "shop.py").write_text(SHOP)
    times = {"settle": 0.5, "quiet": 0.2, "grace_period": 20, "stop_timeout": 3}
    shop = run_asgi(start, tls=tls, **times)
    shop.wait_state("ready")

    async def main() -> None:
        async with Peer.connect(shop.port, tls=tls) as peer:
            await take_back(peer, "waits")
            at_rest = lambda: (shop.status() or {}).get("in_flight") == 0
            await asyncio.to_thread(wait_for, at_rest, 5, "the end of the request")
            if how == "preStop":
                await asyncio.to_thread(shop.prestop().result, 20)
            shop.signal(signal.SIGTERM)
            await peer.over()

    run(main())
    assert shop.wait(30) == 0, shop.stderr
    [report] = shop.events("drain report")
    assert report["steps"]["close"] < EARLY, report

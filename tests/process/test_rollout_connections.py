"""What each kind of connection is told while the app drains."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import websockets

from lifecycle.rehearsal.plan import Protocol
from lifecycle.rehearsal.rehearsal import Rehearsal
from lifecycle.rehearsal.verdict.result import Result
from tests.process.h1_client import Connection, Lost
from tests.process.h2_client import H2Client
from tests.process.kit import App
from tests.process.rollout import (
    BIND,
    RUN,
    assert_in_order,
    assert_nothing_lost,
    plan,
    roll,
    run_asgi,
    run_uvicorn,
    traffic,
)
from tests.process.wire import Answer

TIME = 10.0
BODY = b"0123456789abcdef" * 128

DESK = """
import asyncio, json

held = asyncio.Event()


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        open("closed", "a").write(f"{message['code']}\\n")
        return
    path = scope["path"]
    if path == "/hold":
        await held.wait()
    if path == "/release":
        held.set()
    if path == "/raise":
        raise RuntimeError("the app's own")
    headers = [(b"content-length", b"5"), (b"Connection", b"keep-alive")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})
"""

Start = Callable[..., App]
KINDS = {"asgi": run_asgi, "uvicorn": run_uvicorn}
"""The two ways to be counted."""


class Visitor:
    """Opens connections to one replica, and closes them at the end."""

    def __init__(self, port: int, stack: contextlib.AsyncExitStack) -> None:
        self.port = port
        self._stack = stack

    async def open(self) -> Connection:
        connection = await Connection.open(self.port)
        self._stack.callback(connection.close)
        return connection

    async def open_h2(self) -> H2Client:
        client = await H2Client.open(self.port)
        self._stack.push_async_callback(client.close)
        return client

    async def ask(self, path: str) -> Answer:
        return await (await self.open()).ask(path)


@contextlib.asynccontextmanager
async def up(app: App) -> AsyncIterator[tuple[App, Visitor]]:
    """One replica, once it is ready."""
    await asyncio.to_thread(app.wait_state, "ready")
    async with asyncio.timeout(20), contextlib.AsyncExitStack() as stack:
        yield app, Visitor(app.port, stack)


async def drain(app: App) -> float:
    """Send SIGTERM, and return its time once the app is draining."""
    at = app.signal(signal.SIGTERM)
    await asyncio.to_thread(app.wait_state, "draining")
    return at


async def exit_code(app: App) -> int:
    return await asyncio.to_thread(app.wait, TIME)


async def each_at_once(start: Start, scenario: Callable[..., object], **settings: object) -> None:
    await asyncio.gather(*(scenario(name, run(start, **settings)) for name, run in KINDS.items()))


def test_every_http_1_response_says_close_from_t0_on(start: Start, tmp_path: Path) -> None:
    """To a request from before T0, on a kept and on a new connection, and after an error."""
    (tmp_path / "shop.py").write_text(DESK)

    async def scenario(name: str, one: App) -> None:
        async with up(one) as (app, visitor):
            early, kept, error = [await visitor.open() for _ in range(3)]
            before = await kept.ask("/")
            assert not before.closes, name
            waiting = asyncio.create_task(early.ask("/hold"))
            while app.status()["in_flight"] == 0:
                await asyncio.sleep(0.01)
            await drain(app)
            new = await visitor.open()
            answers = [
                await kept.ask("/"),
                await new.ask("/"),
                await error.ask("/raise"),
                await visitor.ask("/release"),
                await waiting,
            ]
            assert [each.status for each in answers] == [200, 200, 500, 200, 200], name
            assert [
                {key: value.lower() for key, value in each.headers.items() if key == "connection"}
                for each in answers
            ] == [{"connection": "close"}] * 5, name
            for connection in (early, kept, new, error):
                assert await connection.read() == b"", name
            assert await exit_code(app) == 0, name

    asyncio.run(each_at_once(start, scenario, settle=1, quiet=0.2))


def test_idle_connections_are_closed_at_settle_while_the_listener_accepts(
    start: Start, tmp_path: Path
) -> None:
    """`run --asgi` ends what is idle once consumers have had time to notice, and serves on."""
    (tmp_path / "shop.py").write_text(DESK)

    async def scenario() -> None:
        async with up(run_asgi(start, settle=0.7, quiet=0.2)) as (app, visitor):
            idle, untouched, early = [await visitor.open() for _ in range(3)]
            await idle.ask("/")
            waiting = asyncio.create_task(early.ask("/hold"))
            began = await drain(app)
            assert [await idle.read(), await untouched.read()] == [b"", b""]
            assert 0.7 <= time.monotonic() - began < 10.0
            late = await visitor.ask("/release")
            assert (late.status, late.closes) == (200, True)
            assert (await waiting).status == 200
            assert await exit_code(app) == 0

    asyncio.run(scenario())


def test_a_websocket_is_closed_with_1001_at_settle(start: Start, tmp_path: Path) -> None:
    """It works on until settle has passed, then client and app are told that we go away."""
    (tmp_path / "shop.py").write_text(DESK)

    async def scenario(name: str, one: App) -> None:
        async with up(one) as (app, visitor):
            url = f"ws://127.0.0.1:{visitor.port}/"
            async with websockets.connect(url) as busy, websockets.connect(url) as idle:
                began = await drain(app)
                await busy.send("still here")
                assert await busy.recv() == "still here", name
                async with websockets.connect(url) as late:
                    for each in (busy, idle, late):
                        with pytest.raises(websockets.ConnectionClosed):
                            await each.recv()
                        assert each.close_code == 1001, name
                assert 0.7 <= time.monotonic() - began < 10.0, name
            assert await exit_code(app) == 0, name

    asyncio.run(each_at_once(start, scenario, settle=0.7, quiet=0.2))
    assert (tmp_path / "closed").read_text().split() == ["1001"] * 6


def test_who_never_stops_asking_is_named_and_not_waited_for(start: Start, tmp_path: Path) -> None:
    """A client nobody knows keeps it from being quiet: the deadline ends the drain, exit code 0.

    What it sends meanwhile, a body included, is answered.
    """

    async def scenario(name: str, one: App) -> None:
        async with up(one) as (app, visitor):
            echoes = set()

            async def stubborn() -> None:
                while True:
                    with contextlib.suppress(OSError, Lost):
                        connection = await Connection.open(visitor.port)
                        try:
                            agent = {"User-Agent": "stubborn/1.0"}
                            echoes.add((await connection.ask("/echo", agent, BODY)).body)
                        finally:
                            connection.close()
                    await asyncio.sleep(0.05)

            asking = asyncio.create_task(stubborn())
            await drain(app)
            while not (disturbed := app.status()["drain"]["disturbed_by"]):
                await asyncio.sleep(0.01)
            assert "stubborn/1.0" in disturbed[0], name
            assert await exit_code(app) == 0, name
            asking.cancel()
            assert echoes == {BODY}, name
            [report] = app.events("drain report")
            # grace 5 - stop_timeout 1 - 2; by its own clock: others have work to do too
            assert 2.0 <= report["steps"]["close"] < 4.4, name
            assert "stubborn/1.0" in str(report["disturbed_by"]), name

    asyncio.run(
        each_at_once(start, scenario, settle=0.5, quiet=0.5, stop_timeout=1, grace_period=5)
    )


def test_http_2_clients_that_honour_goaway_lose_nothing(start: Start, tmp_path: Path) -> None:
    """They are told at T0, get what is in flight, and send what is new elsewhere."""

    async def alone() -> None:
        async with up(run_asgi(start, settle=0.6, quiet=0.2)) as (app, visitor):
            client, idle = [await visitor.open_h2() for _ in range(2)]
            await idle.ask("/")
            streams = [client.send("/slow"), client.send("/stream")]
            while app.status()["in_flight"] < 2:
                await asyncio.sleep(0.01)
            began = app.signal(signal.SIGTERM)
            await client.told_to_leave.wait()
            await idle.told_to_leave.wait()
            assert time.monotonic() - began < 5.0
            assert not any(each.over.is_set() for each in streams)
            fresh = await visitor.open_h2()
            assert (await fresh.ask("/")).status == 200
            await fresh.told_to_leave.wait()
            slow, stream = [await client.whole(each) for each in streams]
            assert (slow.body, stream.body) == (b"hello", b"x" * 1000)
            await client.closed.wait()
            assert 0.6 <= time.monotonic() - began < 10.0
            assert client.goaways == [(0x7FFFFFFF, 0), (3, 0)]  # at T0, and at the end
            assert await exit_code(app) == 0

    async def rolled() -> list[Result]:
        load = traffic(protocols=(Protocol.HTTP2,), clients=8)
        asgi = plan(tmp_path, *RUN, "--asgi", "shop:app", *BIND, prestop="none", traffic=load)
        return await roll({"asgi, HTTP/2": Rehearsal(asgi)})

    async def both() -> Result:
        return (await asyncio.gather(rolled(), alone()))[0][0]

    result = asyncio.run(both())
    assert_nothing_lost(result)
    assert_in_order(result)
    assert result.tally.requests > 200


def test_a_drain_is_seen_in_the_status(start: Start, tmp_path: Path) -> None:
    """`/status` counts and names what is in flight, without its query, and the drain's step."""
    (tmp_path / "shop.py").write_text(DESK)

    async def scenario(name: str, one: App) -> None:
        async with up(one) as (app, visitor):
            waiting = asyncio.create_task(visitor.ask("/hold?token=secret"))
            while app.status()["in_flight"] == 0:
                await asyncio.sleep(0.01)
            await drain(app)
            status = json.loads(app.control("GET", "/status")[1])
            assert (
                status["state"],
                status["in_flight"],
                status["drain"]["step"],
                status["drain"]["waiting_for"],
            ) == ("draining", 1, "wait", ["1 in flight: GET /hold from test/1"]), name
            await visitor.ask("/release")
            await waiting
            assert await exit_code(app) == 0, name

    asyncio.run(each_at_once(start, scenario, settle=0.2, quiet=0.1))

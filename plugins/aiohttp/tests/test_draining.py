"""What each kind of connection is told while an aiohttp app drains."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import lifecycle_aiohttp
import pytest
from aiohttp import ClientSession, WSMsgType, web

import lifecycle

ACCEPT = {"Accept": "text/event-stream"}
SETTLE = 0.3


GATE = web.AppKey("gate", asyncio.Event)
CODES = web.AppKey("codes", list[Any])

routes = web.RouteTableDef()


@routes.get("/")
async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


@routes.get("/wait")
async def wait(request: web.Request) -> web.Response:
    await request.app[GATE].wait()
    return web.Response(text="waited")


@routes.post("/echo")
async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


@routes.get("/refuse")
async def refuse(_: web.Request) -> web.Response:
    raise web.HTTPConflict(text="conflict")


@routes.get("/fail")
async def fail(_: web.Request) -> web.Response:
    raise RuntimeError("the app's own")


@routes.get("/large")
async def large(_: web.Request) -> web.Response:
    return web.Response(body=b"x" * 20_000_000)


@routes.get("/talk")
async def talk(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data)
    request.app[CODES].append(socket.close_code)
    return socket


@routes.get("/stream")
async def stream(request: web.Request) -> web.StreamResponse:
    kind, _, mark = request.query["type"].partition("|")
    response = web.StreamResponse(headers={"Content-Type": kind})
    if mark:
        response.headers["X-Lifecycle-Stream"] = mark
    await response.prepare(request)
    for number in range(int(request.query["count"])):
        await response.write(b"data: %d\n\n" % number)
        await asyncio.sleep(0.05)
    return response


def shop() -> web.Application:
    app = web.Application(middlewares=[the_apps_own])
    app[GATE] = asyncio.Event()
    app[CODES] = []
    app.add_routes(routes)
    return app


@web.middleware
async def the_apps_own(request: web.Request, handler: Any) -> web.StreamResponse:
    """A middleware of the app's own, which is inside ours."""
    return await handler(request)


def in_flight(life: lifecycle.Lifecycle) -> int:
    return life.snapshot()["in_flight"]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


def play(scenario: Any) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(bounded())


def test_a_request_is_counted_until_its_response_has_left(serve: Any) -> None:
    """A slow reader of a large response is in flight though the handler has returned."""

    async def scenario() -> None:
        async with serve(shop()) as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
            writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            assert in_flight(served.life) == 1
            await reader.readexactly(20_000_000)
            await until(lambda: in_flight(served.life) == 0)
            writer.close()

    play(scenario)


def test_a_request_by_its_name(serve: Any, client: Any) -> None:
    """`/inflight` shows requests and WebSockets, their protocols, and where they stand."""

    async def scenario() -> None:
        async with serve(shop()) as served, client() as session:
            waiting = asyncio.create_task(session.get(f"{served.url}/wait?token=secret"))
            async with session.ws_connect(f"{served.url}/talk"):
                await until(lambda: in_flight(served.life) == 2)
                async with session.get(f"{served.life.qos_url}/inflight?stacks") as response:
                    text = await response.text()
            named = {each["name"]: each for each in json.loads(text)["entries"]}
            assert {name: each["protocol"] for name, each in named.items()} == {
                "GET /wait": "http/1.1",
                "WebSocket /talk": "websocket",
            }
            assert any(line.endswith(" wait") for line in named["GET /wait"]["stack"])
            assert any(line.endswith(" talk") for line in named["WebSocket /talk"]["stack"])
            assert "secret" not in text
            served.app[GATE].set()
            (await waiting).close()

    play(scenario)


def test_every_response_says_close_while_draining(serve: Any, client: Any) -> None:
    """On kept and new connections, from before T0 and after, and after an error."""

    async def scenario() -> None:
        async with serve(shop()) as served, client() as session:
            async with session.get(f"{served.url}/") as response:
                assert "Connection" not in response.headers
            waiting = asyncio.create_task(session.get(f"{served.url}/wait"))
            await until(lambda: in_flight(served.life) == 1)
            served.life.begin_drain("test")
            await served.life.reached(lifecycle.State.DRAINING)
            said = []
            for path in ("/", "/refuse", "/fail", "/nowhere"):
                async with session.get(f"{served.url}{path}") as response:
                    said.append((response.status, response.headers["Connection"]))
            async with session.post(f"{served.url}/echo", data=b"sent") as response:
                assert await response.read() == b"sent"
                said.append((response.status, response.headers["Connection"]))
            served.app[GATE].set()
            async with await waiting as response:
                assert await response.text() == "waited"
                said.append((response.status, response.headers["Connection"]))
            assert [status for status, _ in said] == [200, 409, 500, 404, 200, 200]
            assert {connection.lower() for _, connection in said} == {"close"}
            assert served.life.snapshot()["told_to_go"] == len(said)

    play(scenario)


def test_idle_connections_are_closed_at_settle_and_the_listener_stays(serve: Any) -> None:
    """Not before; one in the middle of a body is left alone; a new one is served."""

    async def scenario() -> None:
        async with serve(shop(), settle=SETTLE) as served:
            where = ("127.0.0.1", served.port)
            idle_reader, idle_writer = await asyncio.open_connection(*where)
            idle_writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await idle_reader.readuntil(b"hello")
            reader, writer = await asyncio.open_connection(*where)
            writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nhalf")
            await until(lambda: in_flight(served.life) == 1)

            began = time.monotonic()
            served.life.begin_drain("test")
            assert await idle_reader.read() == b""
            assert SETTLE - 0.02 <= time.monotonic() - began < SETTLE + 2

            writer.write(b"half")
            assert (await reader.read()).endswith(b"halfhalf")
            late_reader, late_writer = await asyncio.open_connection(*where)
            late_writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await late_reader.read()).endswith(b"hello")
            for each in (idle_writer, writer, late_writer):
                each.close()
            await served.life.drained()

    play(scenario)


def test_websockets_are_closed_with_1001_at_settle(serve: Any, client: Any) -> None:
    """They work on until then; one that comes later is closed at once; handlers end."""

    async def scenario() -> None:
        async with serve(shop(), settle=SETTLE, quiet=1) as served, client() as session:
            socket = await session.ws_connect(f"{served.url}/talk")
            began = time.monotonic()
            served.life.begin_drain("test")
            await socket.send_str("still here")
            assert await socket.receive_str() == "still here"
            assert (await socket.receive()).type is WSMsgType.CLOSE
            assert socket.close_code == 1001
            assert SETTLE - 0.02 <= time.monotonic() - began < SETTLE + 2
            late = await session.ws_connect(f"{served.url}/talk")
            assert (await late.receive()).type is WSMsgType.CLOSE
            assert late.close_code == 1001
            await until(lambda: len(served.app[CODES]) == 2)
            await served.life.drained()
            assert served.life.snapshot()["told_to_go"] == 2

    play(scenario)


async def _listen(
    session: ClientSession, url: str, kind: str, count: int, accept: Any = ACCEPT
) -> bytes:
    params = {"type": kind, "count": str(count)}
    async with session.get(f"{url}/stream", params=params, headers=accept) as response:
        return await response.read()


SPELLINGS = [
    (ACCEPT, "text/event-stream"),
    (
        [("Accept", "*/*"), ("accept", "application/json, TEXT/event-stream; q=0.9")],
        "TEXT/Event-Stream",
    ),
    (ACCEPT, "text/event-stream; charset=utf-8|live"),
]


@pytest.mark.parametrize(("accept", "kind"), SPELLINGS)
def test_an_event_source_is_sent_away_at_settle(
    serve: Any, client: Any, accept: Any, kind: str
) -> None:
    """Its stream ends whole, between two events; one that begins later ends at once."""

    async def scenario() -> None:
        async with serve(shop(), settle=SETTLE) as served, client() as session:
            listening = asyncio.create_task(_listen(session, served.url, kind, 10**9, accept))
            await until(lambda: in_flight(served.life) == 1)
            began = time.monotonic()
            served.life.begin_drain("test")
            events = await listening
            assert SETTLE - 0.02 <= time.monotonic() - began < SETTLE + 2
            assert events.startswith(b"data: 0\n\n")
            assert events.endswith(b"\n\n")
            late = await _listen(session, served.url, kind, 10**9, accept)
            assert late in (b"", b"data: 0\n\n")
            await served.life.drained()

    play(scenario)


@pytest.mark.parametrize("kind", ["text/plain", "text/event-stream|finite"])
def test_another_stream_is_waited_for(serve: Any, client: Any, kind: str) -> None:
    """What is no stream of events, or says that it has an end of its own, reaches it."""

    async def scenario() -> None:
        async with serve(shop(), settle=0.1) as served, client() as session:
            listening = asyncio.create_task(_listen(session, served.url, kind, 10))
            await until(lambda: in_flight(served.life) == 1)
            served.life.begin_drain("test")
            assert (await listening).endswith(b"data: 9\n\n")

    play(scenario)


def test_probes_and_scrapers_do_not_keep_it_from_being_quiet(serve: Any, client: Any) -> None:
    """A kubelet that asks the app's own port is answered, and does not disturb the quiet."""

    async def scenario() -> None:
        async with serve(shop(), settle=0.1, quiet=0.3) as served, client() as session:
            left = asyncio.create_task(served.life.drained())
            served.life.begin_drain("test")
            headers = {"User-Agent": "kube-probe/1.31"}
            while not left.done():
                async with session.get(f"{served.url}/", headers=headers) as response:
                    assert response.status == 200
                await asyncio.sleep(0.05)
            assert await left > 20

    play(scenario)


@pytest.mark.filterwarnings("error")
def test_without_a_lifecycle_nothing_changes(client: Any) -> None:
    """A unit test of the app needs no lifecycle."""

    async def scenario() -> None:
        app = shop()
        lifecycle_aiohttp.setup(app)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with client() as session:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            async with session.get(f"{url}/") as response:
                assert await response.text() == "hello"
            assert await _listen(session, url, "text/event-stream", 1) == b"data: 0\n\n"
        await runner.cleanup()

    play(scenario)


@pytest.mark.parametrize("kind", ["EventSource", "WebSocket"])
def test_who_is_sent_away_at_once_does_not_keep_it_from_being_quiet(
    serve: Any, client: Any, kind: str
) -> None:
    """A client that comes back all the time after settle, and is ended at once each time."""

    async def scenario() -> None:
        async with serve(shop(), settle=0.1, quiet=0.5) as served, client() as session:
            drained = asyncio.create_task(served.life.drained())
            served.life.begin_drain("test")
            await asyncio.sleep(0.2)
            while not drained.done():
                if kind == "WebSocket":
                    socket = await session.ws_connect(f"{served.url}/talk")
                    await socket.receive()
                    await socket.close()
                else:
                    await _listen(session, served.url, "text/event-stream", 10**9)
            assert await drained > 20

    play(scenario)


def test_a_new_connection_is_told_from_an_old_one(serve: Any) -> None:
    """A late request on a connection from before the drain does not count as a new one."""

    async def scenario() -> None:
        async with serve(shop(), settle=1.0) as served:
            where = ("127.0.0.1", served.port)

            async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                await reader.readuntil(b"hello")

            old, new = await asyncio.open_connection(*where), None
            await ask(*old)
            served.life.begin_drain("test")
            await served.life.reached(lifecycle.State.DRAINING)
            await asyncio.sleep(0.1)  # until the kernel has listed who is connected
            new = await asyncio.open_connection(*where)
            await ask(*new)
            await asyncio.sleep(0.1)
            await ask(*old)
            drain = served.life.snapshot()["drain"]
            assert drain is not None
            assert (drain["connections"], drain["arrivals"]) == ([1], [2])
            for _, writer in (old, new):
                writer.close()
            await served.life.drained()

    play(scenario)

"""What `lifecycle/serving` takes for granted of uvicorn: where it has moved is seen here."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
import uvloop

from lifecycle.serving.uvicorn_protocols import Seam

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Served:
    """One connection to an app that answers when it is told to."""

    def __init__(self, http: str, ws: str) -> None:
        self.go = asyncio.Event()
        self.came: list[Any] = []
        self.gone: list[Any] = []
        self.receives: list[Any] = []
        self.seam = Seam(
            self.app,
            keep_alive=75.0,
            came=self.came.append,
            gone=self.gone.append,
            http=http,
            ws=ws,
        )

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.receives.append(receive)
        assert scope["state"] == {"pool": 1}
        await receive()
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            await self.go.wait()
            await send({"type": "websocket.close", "code": 1001})
            return
        await self.go.wait()
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        await self.seam.set_date()
        await loop.connect_accepted_socket(lambda: self.seam.protocol({"pool": 1}, loop), theirs)
        return await asyncio.open_unix_connection(sock=ours)


def _run(loop: str, scenario: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(asyncio.wait_for(scenario(), 10))


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_where_a_connection_stands(http: str, loop: str) -> None:
    """New, being answered, idle, asking again, closed: each is told apart, and only one holds."""

    async def scenario() -> None:
        served = Served(http, "auto")
        seam = served.seam
        reader, writer = await served.connect()
        [protocol] = served.came
        assert seam.connections == {protocol}

        def stands() -> tuple[bool, bool, bool]:
            assert seam.is_http(protocol)
            return seam.is_new(protocol), seam.is_waiting(protocol), seam.is_idle(protocol)

        assert stands() == (True, True, False)
        writer.write(REQUEST)
        while not served.receives:
            await asyncio.sleep(0.001)
        assert stands() == (False, False, False)
        assert len(seam.tasks) == 1
        assert seam.transport_of(served.receives[0]) is seam.transport(protocol)
        served.go.set()
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.count(b"date: ") == 1
        assert await reader.readexactly(2) == b"ok"
        assert stands() == (False, True, True)
        writer.write(REQUEST[:10])
        while seam.is_idle(protocol):
            await asyncio.sleep(0.001)
        assert stands() == (False, True, False)
        writer.write(REQUEST[10:])
        await reader.readuntil(b"ok")
        assert stands() == (False, True, True)
        assert not seam.tasks
        protocol.shutdown()
        assert await reader.read() == b""
        while seam.connections:
            await asyncio.sleep(0.001)
        assert protocol in served.gone
        writer.close()

    _run(loop, scenario)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The .websockets. implementation")
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("ws", ["websockets", "websockets-sansio", "wsproto"])
def test_a_websocket_takes_its_connections_place(ws: str, loop: str) -> None:
    """It is neither new, waiting nor idle, its app is a task, and it takes itself out again."""

    async def scenario() -> None:
        served = Served("auto", ws)
        seam = served.seam
        reader, writer = await served.connect()
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        http, websocket = served.came
        assert seam.connections == {websocket}
        assert http in served.gone
        assert not seam.is_http(websocket)
        asked = seam.is_new(websocket), seam.is_waiting(websocket), seam.is_idle(websocket)
        assert asked == (False, False, False)
        assert len(seam.tasks) == 1
        assert seam.transport_of(served.receives[0]) is seam.transport(websocket)
        served.go.set()
        assert await reader.readexactly(4) == b"\x88\x02\x03\xe9"
        seam.transport(websocket).abort()
        while seam.connections or seam.tasks:
            await asyncio.sleep(0.001)
        assert websocket in served.gone
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    _run(loop, scenario)


def test_the_arguments_are_known() -> None:
    """Uvicorn's Config has them all, and its app needs no detection."""
    config = uvicorn.Config(
        lambda scope, receive, send: None,
        interface="asgi3",
        lifespan="off",
        workers=1,
        access_log=False,
        log_config=None,
        timeout_keep_alive=75,
    )
    config.load()
    assert isinstance(config.http_protocol_class, type)

"""Both servers of `run --asgi` close idle connections, and then do not any more: sockets alone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lifecycle.serving.asgi_servers import AsgiServer, ServerSettings
from lifecycle.serving.connection_states import NEW_TIME, REUSE_TIME
from lifecycle.serving.server import Server
from lifecycle.serving.sockets import bind_tcp
from lifecycle.serving.uvicorn import UvicornServer
from tests.process.h1_client import Connection
from tests.process.h2_client import H2Client

PAUSE = 0.3
"""Seconds after which an idle connection would be closed."""
SERVERS = ["hypercorn", "uvicorn"]


class Served:
    """A server, and whether it sends clients away."""

    def __init__(self, kind: str) -> None:
        self.leaves = True
        self.answers = asyncio.Event()
        settings = ServerSettings(
            keep_alive=75, state={}, sends_away=self._leaves, ends_idle=self._leaves
        )
        self.server: AsgiServer = (
            UvicornServer(self._app, settings)
            if kind == "uvicorn"
            else Server(
                self._app,
                keep_alive=75,
                sends_away=self._leaves,
                ends_idle=self._leaves,
                logger=logging.getLogger("test"),
            )
        )
        sock = bind_tcp("127.0.0.1", 0)
        self.port: int = sock.getsockname()[1]
        self.server.listen([sock])

    def _leaves(self) -> bool:
        return self.leaves

    async def _app(self, scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["path"] == "/busy":
            await self.answers.wait()
        await send({"type": "http.response.body", "body": b"hello"})


@contextlib.asynccontextmanager
async def served(kind: str) -> AsyncIterator[Served]:
    """Serve on a port of its own."""
    made = Served(kind)
    try:
        yield made
    finally:
        await made.server.close(0.0)


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("stays", [True, False])
def test_a_connection_that_was_busy_meanwhile(kind: str, *, stays: bool) -> None:
    """It has not said close: it is kept if it may stay, and else closed once it is idle."""

    async def scenario() -> None:
        async with served(kind) as made:
            busy, idle = await Connection.open(made.port), await Connection.open(made.port)
            await idle.ask("/")
            asking = asyncio.create_task(busy.ask("/busy"))
            await asyncio.sleep(PAUSE)
            await made.server.close_idle()
            assert await asyncio.wait_for(idle.read(), 5) == b""
            made.leaves = not stays
            made.answers.set()
            assert (await asking).body == b"hello"
            if stays:
                await asyncio.sleep(PAUSE)
                assert not busy.over
                assert (await busy.ask("/")).body == b"hello"
            else:
                assert await asyncio.wait_for(busy.read(), 5) == b""
            busy.close()
            idle.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", SERVERS)
def test_who_asks_again_after_a_long_answer_is_answered(kind: str) -> None:
    """Its header said nothing of a close, so the next request may be on its way for a round trip."""

    async def scenario() -> None:
        async with served(kind) as made:
            busy = await Connection.open(made.port)
            asking = asyncio.create_task(busy.ask("/busy"))
            await asyncio.sleep(PAUSE)
            await made.server.close_idle()
            made.answers.set()
            assert not (await asking).closes
            await asyncio.sleep(REUSE_TIME / 4)
            assert (await busy.ask("/")).body == b"hello"
            busy.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", SERVERS)
def test_the_end_does_not_wait_for_another_request(kind: str) -> None:
    """A connection that was answered just now is closed at once when the server ends."""

    async def scenario() -> None:
        async with served(kind) as made:
            connection = await Connection.open(made.port)
            await connection.ask("/")
            began = asyncio.get_running_loop().time()
            await made.server.close(5.0)
            assert asyncio.get_running_loop().time() - began < REUSE_TIME
            assert await connection.read() == b""
            connection.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("kind", "came"), [("hypercorn", "before"), ("uvicorn", "before"), ("uvicorn", "after")]
)
@pytest.mark.parametrize("stays", [True, False])
def test_a_client_that_has_not_asked_yet(kind: str, came: str, *, stays: bool) -> None:
    """It would be closed at some age; it is not, if it may stay by then."""

    async def scenario() -> None:
        async with served(kind) as made:
            if came == "after":
                await made.server.close_idle()
            fresh = await Connection.open(made.port)
            await asyncio.sleep(PAUSE)
            if came == "before":
                await made.server.close_idle()
            made.leaves = not stays
            await asyncio.sleep(NEW_TIME)
            assert fresh.over is not stays
            fresh.close()

    asyncio.run(scenario())


def test_http_2_clients() -> None:
    """They get a GOAWAY with their first request, and none any more once they may stay."""

    async def scenario() -> None:
        async with served("hypercorn") as made:
            before = await H2Client.open(made.port)
            await before.ask("/")
            made.server.go_away()
            during = await H2Client.open(made.port)
            await during.ask("/")
            made.leaves = False
            after = await H2Client.open(made.port)
            await after.ask("/")
            await asyncio.sleep(PAUSE)
            assert [each.usable for each in (before, during, after)] == [False, False, True]
            for each in (before, during, after):
                await each.close()

    asyncio.run(scenario())

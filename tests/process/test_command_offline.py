"""
`lifecycle offline` under `lifecycle run -- COMMAND`: clients are told to go, until `online`.

Each server does it twice, so that nothing stays in it from the first time.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from http.client import HTTPConnection
from typing import Any, Final, NamedTuple

import pytest
import websockets

from tests.process.command_drain import LATE, SETTLE, follow, listen, serve
from tests.process.commands import run
from tests.process.h1_client import Connection
from tests.process.kit import App, wait_for
from tests.process.rollout import SERVED

COMMANDS = {
    "gunicorn gthread": (
        *("-m", "gunicorn", "--no-control-socket", "-b", "127.0.0.1:{port}"),
        *("--threads", "4", "wsgi_shop:app"),
    ),
    "uvicorn": ("-m", "uvicorn", "--port", "{port}", "shop:app"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_service_is_held_offline(start, tmp_path, command):
    """Each answer says close while all are, and none once one is online again; nothing drains."""
    options = ("--service", "more:{port}")
    app = run(start, tmp_path, sys.executable, *command, options=options, PYTHONPATH=str(SERVED))
    app.wait_state("ready")
    client = HTTPConnection("127.0.0.1", app.port, timeout=10)
    assert not closes(client)

    assert app.get("/offline?service=shop", method="POST")[0] == 200
    assert not closes(client)
    assert app.get("/offline?service=more", method="POST")[0] == 200
    wait_for(lambda: closes(client), 5, "close")
    assert app.status()["state"] == "ready"
    assert app.get("/online?service=more", method="POST")[0] == 200

    assert not closes(client)  # on a new connection
    client.close()
    app.stop(0)


def closes(connection: HTTPConnection) -> bool:
    """Ask, and tell whether the answer says that it is the last one."""
    connection.request("GET", "/")
    response = connection.getresponse()
    assert response.read() == b"hello"
    return response.getheader("Connection") == "close"


class Server(NamedTuple):
    """
    What a server can do.

    Attributes:
        words: Its command, after `python`.
        talks: It has WebSockets and event streams.
        idle: It closes idle connections.
        goodbye: What its WebSockets are closed with.
    """

    words: tuple[str, ...]
    talks: bool = True
    idle: bool = True
    goodbye: int = 1001


PORT: Final = ("--port", "{port}")
GUNICORN: Final = (
    *("-m", "gunicorn", "--no-control-socket", "-b", "127.0.0.1:{port}", "--keep-alive", "75"),
    "-k",
)
SERVERS: Final = {
    "aiohttp": Server((str(SERVED / "aiohttp_shop.py"),)),
    "daphne": Server(("-m", "daphne", "-b", "127.0.0.1", *PORT, "shop:app")),
    "granian": Server(
        ("-m", "granian", "--interface", "asgi", "--no-access-log", *PORT, "shop:app"), idle=False
    ),
    "granian rsgi": Server(
        ("-m", "granian", "--interface", "rsgi", "--no-access-log", *PORT, "rsgi_shop:app"),
        idle=False,
        goodbye=1005,
    ),
    "gunicorn asgi": Server((*GUNICORN, "asgi", "shop:app")),
    "gunicorn gevent": Server((*GUNICORN, "gevent", "wsgi_shop:app"), talks=False),
    "gunicorn gthread": Server(
        (*GUNICORN, "gthread", "--threads", "8", "wsgi_shop:app"), talks=False
    ),
    "hypercorn": Server(
        ("-m", "hypercorn", "-b", "127.0.0.1:{port}", "--keep-alive", "75", "shop:app")
    ),
    "sanic": Server(("-m", "sanic", "sanic_shop:app", *PORT, "--no-motd", "--single-process")),
    "tornado": Server((str(SERVED / "tornado_shop.py"),)),
    "uvicorn": Server(("-m", "uvicorn", "--timeout-keep-alive", "75", *PORT, "shop:app")),
    "waitress": Server(
        ("-m", "waitress", "--threads", "8", "--listen", "127.0.0.1:{port}", "wsgi_shop:app"),
        talks=False,
    ),
}


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
def test_clients_go_and_come_back(start, tmp_path, server):
    """Twice; while they are gone nobody is served, and when they are back everything is kept."""
    app = serve(start, tmp_path, sys.executable, *server.words)
    assert not app.events("not instrumented"), app.stderr
    asyncio.run(asyncio.wait_for(_go_and_come_back(app, server), 50))
    [report] = app.events("drain report")
    assert not {"cut_off", "disturbed_by"} & report.keys(), report
    assert report["arrivals"] == [], report
    assert "Traceback" not in app.stderr, app.stderr


async def _go_and_come_back(app: App, server: Server) -> None:
    talks = await _begin(app, server)
    for _ in range(2):
        connection = await Connection.open(app.port)
        with closing(connection):
            assert not (await connection.ask("/")).closes
            await _go(app, server, connection, talks)
        assert (await asyncio.to_thread(app.get, "/online", method="POST"))[0] == 200
        talks = await _begin(app, server)
        connection = await Connection.open(app.port)
        with closing(connection):
            assert not (await connection.ask("/")).closes
            await asyncio.sleep(SETTLE + LATE)
            assert not connection.over
            assert not (await connection.ask("/")).closes
        assert not [each for each in talks if each.done()]
    await asyncio.to_thread(app.stop)
    await asyncio.gather(*talks)


async def _begin(app: App, server: Server) -> list[asyncio.Task[Any]]:
    """Open what never ends by itself."""
    if not server.talks:
        return []
    talks = [asyncio.create_task(each) for each in (listen(app.port, "/ws"), follow(app.port))]
    await _until(app, lambda status: status["in_flight"] == 2)
    return talks


async def _go(app: App, server: Server, idle: Connection, talks: list[asyncio.Task[Any]]) -> None:
    """Wait until nobody is served, and see how each client is told to go."""
    began = time.monotonic()
    waiting = asyncio.create_task(asyncio.to_thread(app.get, "/offline?wait=20", method="POST"))
    await _until(app, lambda status: status["maintenance"])
    assert await _closes(app)
    assert not idle.over
    if server.idle:
        assert await asyncio.wait_for(idle.read(), 5) == b""
        assert SETTLE - 0.05 <= time.monotonic() - began <= SETTLE + 2 * LATE
    for code_or_text, at in await asyncio.gather(*talks):
        assert code_or_text == server.goodbye or code_or_text.endswith(b"\n\n")
        assert SETTLE - 0.05 <= at - began <= SETTLE + 2 * LATE
    answer = await waiting
    assert answer[1].startswith("OK: shop offline, no client is served"), answer
    # Clients with an old view come all the while.
    assert await _closes(app)
    if server.talks:
        with suppress(websockets.ConnectionClosed):  # perhaps before it has said a word
            assert (await asyncio.wait_for(listen(app.port, "/ws"), 5))[0] == server.goodbye


async def _closes(app: App) -> bool:
    """Ask on a new connection, and tell whether the answer says that it is the last one."""
    connection = await Connection.open(app.port)
    with closing(connection):
        return (await connection.ask("/")).closes


async def _until(app: App, condition: Callable[[Any], object]) -> None:
    async with asyncio.timeout(10):
        while not condition(await asyncio.to_thread(app.status)):
            await asyncio.sleep(0.02)

"""One TLS client that does as it should, among many of its own address that stop half way."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import uvloop

from lifecycle.serving.byte_stream import is_readable
from lifecycle.serving.server import Server
from lifecycle.serving.tls.handshakes import AT_ONCE, HANDSHAKE_TIME
from tests.process.serving import client_side, first_flight, server_side, serving

Run = Callable[[Coroutine[Any, Any, Any]], Any]
RUNS: dict[str, Run] = {"asyncio": asyncio.run, "uvloop": uvloop.run}
HELLO = first_flight()
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
CROWD = AT_ONCE + 20
TIME = 20.0


@contextlib.asynccontextmanager
async def crowd(server: Server, port: int, said: bytes, count: int) -> AsyncIterator[None]:
    """Have many clients that have said something, all accepted, or cut already."""
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(said)
            clients.append(client)
            await asyncio.sleep(0)
        while server.connections < count and not any(map(is_readable, clients)):
            await asyncio.sleep(0.01)
        yield


async def ask(port: int) -> bytes:
    """Ask as everybody does."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=client_side(), server_hostname="localhost"
    )
    writer.write(REQUEST)
    try:
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("loop", RUNS)
@pytest.mark.parametrize(
    ("said", "count"),
    [(HELLO[:1], CROWD), (HELLO[:20], CROWD), (HELLO[:-1], CROWD), (HELLO, AT_ONCE - 1)],
    ids=["a byte", "a header", "nearly all", "a whole message"],
)
def test_who_stops_half_way_holds_nobody_up(loop: str, said: bytes, count: int) -> None:
    """The others are served before the first of these has been cut."""

    async def scenario() -> None:
        async with serving(tls=server_side()) as (server, port):
            async with crowd(server, port, said, count), asyncio.timeout(TIME):
                assert (await ask(port)).endswith(b"hello")
                assert server.connections >= count

    RUNS[loop](scenario())


@pytest.mark.parametrize("loop", RUNS)
def test_who_sends_whole_messages_and_no_more_makes_room(loop: str) -> None:
    """More of them than there are places: who comes last is served all the same."""

    async def scenario() -> None:
        async with serving(tls=server_side()) as (server, port):
            async with crowd(server, port, HELLO, CROWD), asyncio.timeout(HANDSHAKE_TIME):
                assert (await ask(port)).endswith(b"hello")

    RUNS[loop](scenario())


@pytest.mark.parametrize("leaves", ["in time", "with the app"])
def test_who_does_not_finish_its_first_message_is_cut(
    leaves: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long before an idle connection is, and soon when the app leaves."""
    seconds = 0.2 if leaves == "in time" else 1000.0
    monkeypatch.setattr("lifecycle.serving.first_byte.HANDSHAKE_TIME", seconds)

    async def scenario() -> None:
        async with serving(tls=server_side(), keep_alive=1000) as (server, port):
            async with crowd(server, port, HELLO[:20], 3), asyncio.timeout(TIME):
                if leaves == "in time":
                    while server.connections:
                        await asyncio.sleep(0.01)
                else:
                    await server.close(2 * TIME)
                    assert not server.connections

    asyncio.run(scenario())


def test_a_first_message_that_comes_in_parts_is_answered() -> None:
    """However small they are."""

    async def scenario() -> bytes:
        async with serving(tls=server_side()) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for begin in range(0, len(HELLO), 100):
                writer.write(HELLO[begin : begin + 100])
                await asyncio.sleep(0.01)
            async with asyncio.timeout(TIME):
                answer = await reader.readexactly(1)
            writer.close()
            return answer

    assert asyncio.run(scenario()) == b"\x16"

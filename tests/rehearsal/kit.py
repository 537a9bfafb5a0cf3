"""What the tests of the load generator share: servers that misbehave, and a client on each."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from lifecycle.rehearsal.clients.client import Client
from lifecycle.rehearsal.load.load import FarPod
from lifecycle.rehearsal.measuring.tally import Tally
from lifecycle.rehearsal.plan import Protocol, Traffic
from lifecycle.testing import Service, free_port

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LIMIT = 20.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST, not FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[int]:
    """Serve on a free port, which is given."""

    under_way: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            await handler(reader, writer)
        writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way[asyncio.create_task(serve(reader, writer))] = writer

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0)
        for task, writer in under_way.items():
            task.cancel()
            writer.transport.abort()
        ends = await asyncio.gather(*under_way, return_exceptions=True)
        for writer in under_way.values():
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    assert [each for each in ends if isinstance(each, Exception)] == []


def client_of(
    port: int | None, protocol: Protocol = Protocol.HTTP1, **fields: Any
) -> tuple[Client, Tally]:
    """Return a client that knows of one endpoint (None: of none), and where it counts."""
    service = Service(0.0, seed=1)
    if port is not None:
        service.add(FarPod("1", "app-1", "127.0.0.1", port, ready=True), "http")
    traffic = Traffic(**{"protocols": (protocol,), "timeout": 1.0, **fields})
    tally = Tally()
    return Client(service.client(), traffic, protocol, tally, random.Random(1)), tally


async def ask(
    client: Client, times: int = 1, *, between: Callable[[], Awaitable[object]] | None = None
) -> None:
    """Let it ask on one connection, if the server keeps it, so many times."""
    over = asyncio.Event()
    for number in range(times):
        if number and between is not None:
            await between()
        await client._request("/", keep=True)
    over.set()
    client._drop()


def run(main: Awaitable[Any]) -> Any:
    """Run a test's main, bounded."""

    async def bounded() -> Any:
        async with asyncio.timeout(LIMIT):
            return await main

    return asyncio.run(bounded())


def seen(tally: Tally) -> list[tuple[str, bool]]:
    """Return the losses: how, and whether on a kept connection."""
    return [(str(loss.cause), loss.kept) for loss in tally.losses]


def closed_port() -> int:
    """Return a port that refuses."""
    return free_port()

"""A relay to a server, which closes all connections when it is told."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self


class Relay:
    """
    The relay. Use it as an async context manager.

    Args:
        to: The port of the server on 127.0.0.1.
        host: Where it listens.
        port: Its port, or 0 for any.

    Attributes:
        port: Its port.
        opened: How many connections it has taken.
    """

    def __init__(self, to: int, host: str = "127.0.0.1", port: int = 0) -> None:
        self._to = to
        self._host = host
        self._running: set[asyncio.Task[None]] = set()
        self.port = port
        self.opened = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        running = [*self._running]
        self.cut()
        await asyncio.gather(*running, return_exceptions=True)

    def cut(self) -> int:
        """Close all connections. Return how many there were."""
        running, self._running = self._running, set()
        for each in running:
            each.cancel()
        return len(running)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        task = asyncio.ensure_future(self._relay(reader, writer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there = await asyncio.open_connection("127.0.0.1", self._to)
        try:
            await asyncio.gather(copy(reader, there), copy(there_reader, writer))
        except (OSError, asyncio.CancelledError):
            return
        finally:
            for each in (writer, there):
                each.close()
            for each in (writer, there):
                with contextlib.suppress(OSError):
                    await each.wait_closed()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on everything. End with an error when it ends, so that both directions are closed."""
    while data := await reader.read(65536):
        writer.write(data)
    raise ConnectionResetError("closed")

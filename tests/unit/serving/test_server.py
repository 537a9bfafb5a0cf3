"""The sockets of a server, as the kernel sees them."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from lifecycle.serving.byte_stream import Reader
from lifecycle.serving.server import Server


async def app(scope: object, receive: object, send: object) -> None:
    """Say nothing."""


def test_no_part_of_an_answer_waits_for_an_acknowledgement() -> None:
    """Nagle's algorithm is off for what a server accepts, however its listener was made."""

    async def scenario() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.bind(("127.0.0.1", 0))
            server = Server(app, keep_alive=5.0, logger=logging.getLogger("test"))
            server.listen([sock])
            _, writer = await asyncio.open_connection(*sock.getsockname())
            writer.write(b"G")
            async with asyncio.timeout(5):
                while not server._connections:
                    await asyncio.sleep(0)
            accepted = next(iter(server._connections)).writer.get_extra_info("socket")
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            writer.close()
            await server.close(1.0)

    asyncio.run(scenario())


def test_a_request_that_is_not_parsed_yet_makes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """From its arrival on: in the kernel, in the transport's hands, and until somebody has read it."""
    cut = []
    feed = Reader.feed_data

    async def scenario() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.bind(("127.0.0.1", 0))
            server = Server(app, keep_alive=5.0, logger=logging.getLogger("test"))

            def feed_data(self: Reader, data: bytes) -> None:
                feed(self, data)
                cut.append(server._cap.make_room())

            monkeypatch.setattr(Reader, "feed_data", feed_data)
            server.listen([sock])
            _, writer = await asyncio.open_connection(*sock.getsockname())
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            async with asyncio.timeout(5):
                while not cut:
                    await asyncio.sleep(0)
            writer.close()
            await server.close(1.0)

    asyncio.run(scenario())
    assert cut == [False]

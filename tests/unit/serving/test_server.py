"""The sockets of a server, as the kernel sees them."""

from __future__ import annotations

import asyncio
import logging
import socket

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

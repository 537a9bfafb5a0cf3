"""
TLS of one connection, with less memory than asyncio needs.

The protocols of asyncio and uvloop fill a buffer of 256 KiB for every connection before its first
byte, and keep it to the end. The size of one TLS record is enough. If data arrives faster, it is
read in more turns of the loop.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from typing import Final

from lifecycle.serving.byte_stream import StreamProtocol
from lifecycle.serving.connection_table import ConnectionEntry
from lifecycle.serving.first_byte import Came
from lifecycle.serving.tls.client_hello import ClientHello
from lifecycle.serving.tls.handshakes import Handshakes

BUFFER: Final = 16 * 1024
"""Bytes to read at once."""
FIRST_BUFFER: Final = 2 * 1024
"""Bytes to read at once during the handshake."""


class Tls:
    """
    The TLS of one server's connections. Make and use it on the server's loop.

    Args:
        context: The TLS context of the server.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._handshakes = Handshakes(asyncio.get_running_loop().time)

    async def connect(
        self, sock: socket.socket, protocol: StreamProtocol, entry: ConnectionEntry, latest: float
    ) -> asyncio.Transport:
        """
        Wait for a place, and do the server's side of a handshake.

        Args:
            sock: The accepted socket. If this raises or is cancelled, the caller must close it.
            protocol: The protocol above TLS.
            entry: The entry of the connection.
            latest: When the handshake must be over in any case, by the clock of the loop.

        Raises:
            OSError: The client is gone, or does not use TLS.
            TimeoutError: The handshake took too long, or there was no place in time.
        """
        async with self._handshakes.place(entry, latest=latest) as moved:
            return await _shake_hands(sock, protocol, self._context, moved)

    def client_hello(self, sock: socket.socket) -> Callable[[], Came]:
        """Return the inspector of a client's first message, which does not read it."""
        return ClientHello(sock).look

    def hurry(self) -> None:
        """Shorten the time of every handshake to the idle time of its connection."""
        self._handshakes.hurry(lambda entry: entry.idle_from)


class _Layer(SSLProtocol):
    max_size = FIRST_BUFFER
    moved: Callable[[], object] = staticmethod(lambda: None)

    def buffer_updated(self, nbytes: int) -> None:
        self.moved()
        super().buffer_updated(nbytes)


async def _shake_hands(
    sock: socket.socket,
    protocol: StreamProtocol,
    context: ssl.SSLContext,
    moved: Callable[[], object],
) -> asyncio.Transport:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    layer = _Layer(loop, protocol, context, done, server_side=True)
    layer.moved = moved
    below, _ = await loop.connect_accepted_socket(lambda: layer, sock)
    try:
        await done
    except BaseException:
        below.abort()
        raise
    del layer.moved
    layer.max_size = BUFFER  # type: ignore[misc] # asyncio reads it from the instance
    if protocol.transport is None:
        raise ConnectionResetError("the client closed the connection during its handshake")
    return protocol.transport

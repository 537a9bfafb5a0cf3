"""
TLS below one connection, for less memory than asyncio takes.

asyncio's own protocol, and uvloop's, fill a buffer of 256 KiB for every connection before its
first byte, and keep it to the end. A record of TLS is enough: what arrives faster is read in more
turns.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from typing import Final

from lifecycle.serving.stream import Protocol

BUFFER: Final = 16 * 1024
"""Bytes that are read at once."""
FIRST_BUFFER: Final = 2 * 1024
"""And during the handshake."""


class _Tls(SSLProtocol):
    max_size = FIRST_BUFFER
    moved: Callable[[], object] = staticmethod(lambda: None)

    def buffer_updated(self, nbytes: int) -> None:
        self.moved()
        super().buffer_updated(nbytes)


async def shake_hands(
    sock: socket.socket,
    protocol: Protocol,
    context: ssl.SSLContext,
    moved: Callable[[], object],
) -> asyncio.Transport:
    """
    Do the server's side of a handshake; for as long as it takes.

    Args:
        sock: Accepted; if this raises or is cancelled, whoever calls closes it.
        protocol: What is above TLS.
        context: The server's.
        moved: Called for whatever comes during the handshake.

    Raises:
        OSError: The client is gone, or speaks another language.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    tls = _Tls(loop, protocol, context, done, server_side=True)
    tls.moved = moved
    below, _ = await loop.connect_accepted_socket(lambda: tls, sock)
    try:
        await done
    except BaseException:
        below.abort()
        raise
    del tls.moved
    tls.max_size = BUFFER  # type: ignore[misc] # asyncio reads it from the instance
    if protocol.transport is None:
        raise ConnectionResetError("gone during its handshake")
    return protocol.transport

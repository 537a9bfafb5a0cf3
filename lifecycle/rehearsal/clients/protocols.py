"""Which file speaks which protocol; its library is imported when it is spoken."""

from __future__ import annotations

from lifecycle.rehearsal.clients.connection import Connection
from lifecycle.rehearsal.plan import Protocol
from lifecycle.testing import Endpoint


async def open_connection(
    protocol: Protocol, endpoint: Endpoint, path: str, *, keep: bool
) -> Connection:
    """
    Open a connection.

    Args:
        protocol: What is spoken on it.
        endpoint: With whom.
        path: Where a WebSocket is.
        keep: Whether there will be more than one request.

    Raises:
        Lost: It cannot be had.
    """
    match protocol:
        case Protocol.HTTP1:
            from lifecycle.rehearsal.clients.http1 import Http1

            return await Http1.open(endpoint, keep=keep)
        case Protocol.HTTP2:
            from lifecycle.rehearsal.clients.http2 import Http2

            return await Http2.open(endpoint)
        case Protocol.WEBSOCKET:
            from lifecycle.rehearsal.clients.websocket import WebSocket

            return await WebSocket.open(endpoint, path)

"""The connection class of each protocol. Its library is imported at the first use."""

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
        protocol: The protocol.
        endpoint: The replica to connect to.
        path: The path of a WebSocket.
        keep: Whether more than one request will be sent.

    Raises:
        Lost: The connection failed.
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

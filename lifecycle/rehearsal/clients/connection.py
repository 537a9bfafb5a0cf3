"""What the clients of all protocols have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from lifecycle.rehearsal.clients.wire import Wire
from lifecycle.rehearsal.losses import Cause, Lost
from lifecycle.rehearsal.plan import Protocol
from lifecycle.testing import Endpoint

AGENT: Final = "lifecycle-rehearse/1"


class Connection(ABC):
    """
    One connection, and one request at a time on it.

    Attributes:
        wire: Its bytes.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    @property
    @abstractmethod
    def reusable(self) -> bool:
        """False if the other side has said that no further request may be sent."""

    @property
    def over(self) -> bool:
        """True if no further request may be sent: the other side has ended it, or said so."""
        return not self.reusable or self.wire.over

    @abstractmethod
    async def ask(self, path: str) -> int:
        """
        Send one request and read its whole answer.

        Returns:
            Its status.

        Raises:
            Lost: There is none, or it is 500 or above.
            Declined: The server has not touched it.
            GoneAway: The server has ended the session in good order.
        """

    def close(self) -> None:
        """Close it."""
        self.wire.close()

    @property
    def broken(self) -> Lost | None:
        """What was lost with the connection, though no request was on it."""
        return None


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


def checked(status: int) -> int:
    """Return a status that is none of an error of the server's."""
    if status >= 500:
        raise Lost(Cause.ERROR, f"answered with {status}")
    return status

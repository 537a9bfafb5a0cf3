"""
WebSocket connections. A request is a ping, which every server answers whatever its app does.

The first request on a connection is the opening handshake and a ping. Each further request is a
ping. If a connection ends without a close frame, it counts as lost even if no ping was sent.
"""

from __future__ import annotations

from typing import Self

import wsproto
from wsproto import events
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from lifecycle.rehearsal.clients.connection import AGENT, Connection, Request, checked
from lifecycle.rehearsal.clients.wire import Wire
from lifecycle.rehearsal.measuring.losses import WELL_CLOSED, Cause, GoneAway, Lost
from lifecycle.testing import Endpoint

ABNORMAL = 1006


class WebSocket(Connection):
    """A WebSocket connection. Made by `open`."""

    def __init__(self, wire: Wire, host: str, path: str) -> None:
        super().__init__(wire)
        self._ws = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._host = host
        self._path = path
        self._open = False
        self._code: int | None = None
        self._pongs = 0

    @classmethod
    async def open(cls, endpoint: Endpoint, path: str) -> Self:
        """Connect. The handshake is part of the first request."""
        return cls(await Wire.open(endpoint), f"{endpoint.host}:{endpoint.port}", path)

    @property
    def reusable(self) -> bool:
        self._look()
        return self._code is None

    @property
    def broken(self) -> Lost | None:
        """The loss if the connection ended without a close frame, or with an error code."""
        self._look()
        ended = self._code is not None or bool(self.wire.ended)
        return self._lost() if self._open and ended else None

    def _look(self) -> None:
        if self._open and self._code is None and self.wire.received:
            data = bytes(self.wire.received)
            self.wire.received.clear()
            try:
                self._take(data)
            except Lost:
                self._code = ABNORMAL

    def _lost(self) -> Lost | None:
        if self._code is None:
            return Lost(Cause.ABNORMAL, f"{self.wire.ended or 'closed'} without a close frame")
        if self._code not in WELL_CLOSED:
            return Lost(Cause.ERROR, f"closed with {self._code}")
        return None

    async def ask(self, request: Request) -> int:  # noqa: ARG002 - it was in the handshake
        if not self._open:
            await self._shake_hands()
        wanted = self._pongs + 1
        self._send(events.Ping())
        while self._pongs < wanted:
            data = b"" if self._code is not None else await self.wire.read()
            if not data:
                lost = self._lost()
                if lost is None:
                    raise GoneAway(str(self._code))
                raise lost
            self._take(data)
        return 101

    async def _shake_hands(self) -> None:
        headers = [(b"User-Agent", AGENT.encode())]
        opening = self._ws.send(events.Request(self._host, self._path, extra_headers=headers))
        self._begin(len(opening))
        self.wire.write(opening)
        while not self._open:
            data = await self.wire.read()
            if not data:
                raise self._unanswered(begun=bool(self.wire.heard))
            self._take(data)

    def close(self) -> None:
        if self._open and self._code is None:
            self._send(events.CloseConnection(code=1000))
        self.wire.close()

    def _send(self, event: events.Event) -> None:
        try:
            self.wire.write(self._ws.send(event))
        except LocalProtocolError:  # the server has closed it: seen when it is read
            return

    def _take(self, data: bytes) -> None:
        try:
            self._ws.receive_data(data)
            for event in self._ws.events():
                self._happen(event)
        except RemoteProtocolError as error:
            raise Lost(Cause.MALFORMED, str(error)) from None

    def _happen(self, event: events.Event) -> None:
        match event:
            case events.AcceptConnection():
                self._open = True
            case events.RejectConnection():
                checked(event.status_code)
                raise Lost(
                    Cause.MALFORMED, f"no WebSocket there: answered with {event.status_code}"
                )
            case events.Pong():
                self._pongs += 1
            case events.Ping():
                self._send(event.response())
            case events.CloseConnection():
                self._code = int(event.code)
                if self._ws.state is wsproto.connection.ConnectionState.REMOTE_CLOSING:
                    self._send(event.response())

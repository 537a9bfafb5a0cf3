"""HTTP/1.1 connections, parsed by h11."""

from __future__ import annotations

import functools
from typing import Self

import h11

from lifecycle.rehearsal.clients.connection import (
    AGENT,
    BODILESS,
    PIECE,
    TYPE,
    Connection,
    Request,
    checked,
    meanwhile,
)
from lifecycle.rehearsal.clients.wire import Wire
from lifecycle.rehearsal.measuring.losses import Cause, Lost
from lifecycle.testing import Endpoint


class Http1(Connection):
    """An HTTP/1.1 connection. Made by `open`."""

    def __init__(self, wire: Wire, host: str, *, keep: bool) -> None:
        super().__init__(wire)
        self._h11 = h11.Connection(h11.CLIENT)
        self._host = host
        self._keep = keep

    @classmethod
    async def open(cls, endpoint: Endpoint, *, keep: bool) -> Self:
        """Connect. Without `keep`, the request has the header `Connection: close`."""
        wire = await Wire.open(endpoint)
        return cls(wire, f"{endpoint.host}:{endpoint.port}", keep=keep)

    @property
    def reusable(self) -> bool:
        unasked, _ = self._h11.trailing_data
        return self._h11.our_state is h11.IDLE and not unasked

    async def ask(self, request: Request) -> int:
        data = self._h11.send(_head(self._host, request._replace(seconds=0.0), keep=self._keep))
        head = data or b""
        at_once = request.size <= PIECE and not request.seconds
        if at_once:
            head += self._body(request.size) + self._end()
        self._begin(len(head) + (0 if at_once else request.size))
        self.wire.write(head)
        if at_once:
            status = await self._answer()
        else:
            async with meanwhile(self._send(request)):
                status = await self._answer()
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
        self._used = True
        return checked(status)

    async def _send(self, request: Request) -> None:
        async for size in request.pieces():
            await self.wire.room()
            self.wire.write(self._body(size))
        self.wire.write(self._end())

    def _body(self, size: int) -> bytes:
        return self._h11.send(h11.Data(bytes(size))) or b"" if size else b""

    def _end(self) -> bytes:
        return self._h11.send(h11.EndOfMessage()) or b""

    async def _answer(self) -> int:
        heard = self.wire.heard
        status = 0
        try:
            while not isinstance(event := await self._next(), h11.EndOfMessage):
                if isinstance(event, h11.Response):
                    status = event.status_code
                elif isinstance(event, h11.ConnectionClosed):
                    raise self._unanswered(begun=self.wire.heard > heard)
        except h11.RemoteProtocolError as error:
            if self._h11.trailing_data[1]:
                raise self._unanswered(begun=self.wire.heard > heard) from None
            raise Lost(Cause.MALFORMED, str(error)) from None
        return status

    async def _next(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            self._h11.receive_data(await self.wire.read())
        return event  # type: ignore[return-value] # NEED_DATA has been excluded


@functools.lru_cache(maxsize=1024)
def _head(host: str, request: Request, *, keep: bool) -> h11.Request:
    """Make the head of a request. Heads are cached, because h11 checks each one slowly."""
    headers = [("Host", host), ("User-Agent", AGENT), ("Accept", "*/*")]
    if request.size or request.method not in BODILESS:
        headers += [("Content-Type", TYPE), ("Content-Length", str(request.size))]
    if not keep:
        headers.append(("Connection", "close"))
    return h11.Request(method=request.method, target=request.path, headers=headers)

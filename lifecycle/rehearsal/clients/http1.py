"""HTTP/1.1, parsed by h11."""

from __future__ import annotations

import functools
import time
from typing import Self

import h11

from lifecycle.rehearsal.clients.connection import AGENT, Connection, checked
from lifecycle.rehearsal.clients.wire import Wire
from lifecycle.rehearsal.losses import Cause, Lost, unanswered
from lifecycle.testing import Endpoint


class Http1(Connection):
    """One connection; made by `open`."""

    def __init__(self, wire: Wire, host: str, *, keep: bool) -> None:
        super().__init__(wire)
        self._h11 = h11.Connection(h11.CLIENT)
        self._host = host
        self._keep = keep

    @classmethod
    async def open(cls, endpoint: Endpoint, *, keep: bool) -> Self:
        """Connect; without `keep` the request says that it is the only one."""
        wire = await Wire.open(endpoint)
        return cls(wire, f"{endpoint.host}:{endpoint.port}", keep=keep)

    @property
    def reusable(self) -> bool:
        unasked, _ = self._h11.trailing_data
        return self._h11.our_state is h11.IDLE and not unasked

    async def ask(self, path: str) -> int:
        request = _request(self._host, path, keep=self._keep)
        self.wire.write(
            (self._h11.send(request) or b"") + (self._h11.send(h11.EndOfMessage()) or b"")
        )
        sent = time.monotonic()
        status = 0
        try:
            while not isinstance(event := await self._next(), h11.EndOfMessage):
                if isinstance(event, h11.Response):
                    status = event.status_code
                elif isinstance(event, h11.ConnectionClosed):
                    raise self._cut(sent, begun=False)
        except h11.RemoteProtocolError as error:
            if self._h11.trailing_data[1]:
                raise self._cut(sent, begun=bool(status)) from None
            raise Lost(Cause.MALFORMED, str(error)) from None
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
        return checked(status)

    def _cut(self, sent: float, *, begun: bool) -> Lost:
        return unanswered(self.wire.ended, time.monotonic() - sent, begun=begun)

    async def _next(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            self._h11.receive_data(await self.wire.read())
        return event  # type: ignore[return-value] # NEED_DATA has been excluded


@functools.lru_cache(maxsize=1024)
def _request(host: str, path: str, *, keep: bool) -> h11.Request:
    """Make a request: the same ones are sent again and again, and h11 checks each with care."""
    headers = [("Host", host), ("User-Agent", AGENT), ("Accept", "*/*")]
    if not keep:
        headers.append(("Connection", "close"))
    return h11.Request(method="GET", target=path, headers=headers)

"""
HTTP/2 connections with prior knowledge.

The h2 library closes a connection at the first GOAWAY, with all streams. These frames are
therefore removed before h2 sees them, and handled here (RFC 9113, section 6.8).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, Self

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from lifecycle.rehearsal.clients.connection import (
    AGENT,
    BODILESS,
    TYPE,
    Connection,
    Request,
    checked,
    meanwhile,
)
from lifecycle.rehearsal.clients.wire import Wire
from lifecycle.rehearsal.measuring.losses import Cause, Declined, Lost
from lifecycle.testing import Endpoint

GOAWAY: Final = 7
HEAD: Final = 9
REFUSED_STREAM: Final = int(h2.errors.ErrorCodes.REFUSED_STREAM)


class Http2(Connection):
    """An HTTP/2 connection. Made by `open`."""

    def __init__(self, wire: Wire, host: str) -> None:
        super().__init__(wire)
        self._host = host
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding=None)
        )
        self._frames = bytearray()
        self._last: int | None = None
        self._stream = 0
        self._status = 0
        self._answered = False
        self._body = self._left = 0
        self._wider = asyncio.Event()

    @classmethod
    async def open(cls, endpoint: Endpoint) -> Self:
        """Connect, and send the HTTP/2 preface."""
        connection = cls(await Wire.open(endpoint), f"{endpoint.host}:{endpoint.port}")
        connection._h2.initiate_connection()
        connection._flush()
        return connection

    @property
    def reusable(self) -> bool:
        if not self.wire.ended and self.wire.received:
            try:
                self._take(bytes(self.wire.received))
            except (h2.exceptions.ProtocolError, Lost, Declined):
                return False
            self.wire.received.clear()
            self._flush()
        return self._last is None

    async def ask(self, request: Request) -> int:
        try:
            await self._open_stream(request)
            if request.size:
                async with meanwhile(self._send(request)):
                    await self._answer()
                self._stop_sending()
            else:
                await self._answer()
        except h2.exceptions.ProtocolError as error:
            raise Lost(Cause.MALFORMED, str(error)) from None
        self._used = True
        return checked(self._status)

    async def _answer(self) -> None:
        while not self._answered:
            if not await self._more():
                raise self._unanswered(begun=bool(self._status))

    async def _open_stream(self, request: Request) -> None:
        """Send the head of the request, once the server allows another stream."""
        self._stream = self._h2.get_next_available_stream_id()
        self._status, self._answered = 0, False
        self._body = self._left = request.size
        while self.wire.received or not self._free:
            if not await self._more():
                raise Declined(f"{self.wire.ended} before it allowed a stream")
            if self._last is not None:
                raise Declined("GOAWAY before the request")
        headers = [
            (":method", request.method),
            (":path", request.path),
            (":scheme", "http"),
            (":authority", self._host),
            ("user-agent", AGENT),
        ]
        if request.size or request.method not in BODILESS:
            headers += [("content-type", TYPE), ("content-length", str(request.size))]
        self._h2.send_headers(self._stream, headers, end_stream=not request.size)
        head = self._h2.data_to_send()
        self._begin(len(head) + request.size)
        self.wire.write(head)

    async def _send(self, request: Request) -> None:
        """Send the body as fast as the flow control of the server allows."""
        async for size in request.pieces():
            due = size
            while due:
                await self.wire.room()
                window = self._h2.local_flow_control_window(self._stream)
                most = min(due, window, self._h2.max_outbound_frame_size)
                if most > 0:
                    due -= most
                    self._left -= most
                    self._h2.send_data(self._stream, bytes(most), end_stream=not self._left)
                    self._flush()
                else:
                    self._wider.clear()
                    await self._wider.wait()

    def _stop_sending(self) -> None:
        """Stop sending a body that was answered before its end."""
        with contextlib.suppress(h2.exceptions.ProtocolError):  # it was sent to its end
            self._h2.reset_stream(self._stream, h2.errors.ErrorCodes.CANCEL)
            self._flush()

    @property
    def _free(self) -> bool:
        most = self._h2.remote_settings.max_concurrent_streams
        return self._h2.open_outbound_streams < most

    async def _more(self) -> bool:
        """Read and process more frames. Returns False when the server has closed the connection."""
        data = await self.wire.read()
        self._take(data)
        self._flush()
        return bool(data)

    def _flush(self) -> None:
        self.wire.write(self._h2.data_to_send())

    def _take(self, data: bytes) -> None:
        self._wider.set()  # whatever it is, it is looked at
        self._frames += data
        while len(self._frames) >= HEAD:
            size = HEAD + int.from_bytes(self._frames[:3])
            if len(self._frames) < size:
                break
            frame = bytes(self._frames[:size])
            del self._frames[:size]
            if frame[3] == GOAWAY:
                self._last = int.from_bytes(frame[HEAD : HEAD + 4]) & 0x7FFFFFFF
                if self._stream > self._last and not self._answered:
                    raise Declined(f"GOAWAY, last stream {self._last}")
            else:
                self._happen(self._h2.receive_data(frame))

    def _happen(self, events: list[h2.events.Event]) -> None:
        for event in events:
            match event:
                case h2.events.DataReceived():
                    self._h2.acknowledge_received_data(
                        event.flow_controlled_length or 0, event.stream_id or 0
                    )
                case h2.events.ResponseReceived(stream_id=self._stream):
                    self._status = _status(dict(event.headers or ()).get(b":status", b""))
                case h2.events.StreamEnded(stream_id=self._stream):
                    self._answered = True
                case h2.events.StreamReset(stream_id=self._stream) if not self._answered:
                    self._reset(int(event.error_code or 0))

    def _reset(self, code: int) -> None:
        if code == REFUSED_STREAM:
            raise Declined("REFUSED_STREAM")
        try:
            name = h2.errors.ErrorCodes(code).name
        except ValueError:
            name = str(code)
        when = ""
        if self._left:
            sent = self._body - self._left
            when = f" when {sent:,} of {self._body:,} bytes of the body had been sent"
        raise Lost(Cause.STREAM_RESET, f"RST_STREAM {name}{when}")


def _status(value: bytes) -> int:
    if len(value) != 3 or not value.isdigit():
        raise Lost(Cause.MALFORMED, f"the status is {value!r}")
    return int(value)

"""
An HTTP/2 client (prior knowledge) that takes GOAWAY as RFC 9113, section 6.8, means it.

The h2 library ends a connection at the first GOAWAY, with whatever is in flight: so
GOAWAY frames are taken out before it sees them, and honoured here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from tests.process.h1_client import TIME, Lost

GOAWAY: Final = 7


@dataclass(slots=True)
class Stream:
    """One request and what has come of it."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    lost: str = ""


class H2Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        )
        self._streams: dict[int, Stream] = {}
        self._reading = asyncio.create_task(self._read())
        self.goaways: list[tuple[int, int]] = []
        self.told_to_leave = asyncio.Event()
        self.closed = asyncio.Event()

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect, and say that HTTP/2 is spoken."""
        client = cls(*await asyncio.open_connection("127.0.0.1", port))
        client._h2.initiate_connection()
        client._flush()
        return client

    @property
    def usable(self) -> bool:
        """True while a new request may be sent."""
        return not self.goaways and not self.closed.is_set()

    def send(self, path: str, headers: Mapping[str, str] | None = None) -> Stream:
        """Send a request; its stream gets what comes."""
        number = self._h2.get_next_available_stream_id()
        stream = self._streams[number] = Stream()
        fields = {":method": "GET", ":path": path, ":scheme": "http", ":authority": "localhost"}
        self._h2.send_headers(number, [*(fields | dict(headers or {})).items()], end_stream=True)
        self._flush()
        return stream

    async def ask(self, path: str, headers: Mapping[str, str] | None = None) -> Stream:
        """
        Send a request and wait for the whole response.

        Raises:
            Lost: There is none.
        """
        return await self.whole(self.send(path, headers))

    async def whole(self, stream: Stream) -> Stream:
        """
        Wait for the whole response.

        Raises:
            Lost: There is none.
        """
        try:
            async with asyncio.timeout(TIME):
                await stream.over.wait()
        except TimeoutError:
            raise Lost("timeout") from None
        if stream.lost or stream.status >= 500:
            raise Lost(stream.lost or str(stream.status))
        return stream

    async def close(self) -> None:
        """Close the connection."""
        self._reading.cancel()
        self._writer.close()
        await asyncio.wait({self._reading})

    def _flush(self) -> None:
        if data := self._h2.data_to_send():
            self._writer.write(data)

    async def _read(self) -> None:
        try:
            while True:
                head = await self._reader.readexactly(9)
                payload = await self._reader.readexactly(int.from_bytes(head[:3]))
                if head[3] == GOAWAY:
                    last, code = int.from_bytes(payload[:4]), int.from_bytes(payload[4:8])
                    self.goaways.append((last, code))
                    self.told_to_leave.set()
                else:
                    self._take(self._h2.receive_data(head + payload))
                    self._flush()
        except (OSError, asyncio.IncompleteReadError, h2.exceptions.ProtocolError) as error:
            for stream in self._streams.values():
                self._end(stream, f"closed ({type(error).__name__})")
        finally:
            self.closed.set()

    def _take(self, events: list[h2.events.Event]) -> None:
        for event in events:
            stream = self._streams.get(getattr(event, "stream_id", 0) or 0)
            if stream is None:
                continue
            match event:
                case h2.events.ResponseReceived():
                    stream.headers = dict(event.headers or ())
                    stream.status = int(stream.headers[":status"])
                case h2.events.DataReceived():
                    stream.body += event.data or b""
                    self._h2.acknowledge_received_data(
                        event.flow_controlled_length or 0, event.stream_id or 0
                    )
                case h2.events.StreamEnded():
                    self._end(stream, "")
                case h2.events.StreamReset():
                    self._end(stream, f"stream reset ({event.error_code})")

    def _end(self, stream: Stream, lost: str) -> None:
        if not stream.over.is_set():
            stream.lost = lost
            stream.over.set()

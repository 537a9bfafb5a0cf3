"""An HTTP/2 client that keeps all it is told, does what a test says and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final, TypeVar

import h2.config
import h2.connection
import h2.events

from tests.process.serving import client_side

T = TypeVar("T", bound=h2.events.Event)
TIME: Final = 10.0
"""Seconds for anything that is waited for."""


class Peer:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.wire = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.heard: list[h2.events.Event] = []
        self.closed = False

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(
        cls, port: int, *, tls: bool = False, window: int | None = None
    ) -> AsyncIterator[Peer]:
        """Connect; `window`: bytes that the server may send on each stream."""
        context = client_side("h2") if tls else None
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        peer = cls(reader, writer)
        if window is not None:
            # Before the connection begins it is what the first frame says.
            peer.wire.local_settings.initial_window_size = window
            peer.wire.local_settings.acknowledge()
        peer.wire.initiate_connection()
        peer.flush()
        try:
            yield peer
        finally:
            writer.transport.abort()

    def flush(self) -> None:
        """Send what is to be sent."""
        self._writer.write(self.wire.data_to_send())

    def ask(
        self,
        path: str,
        *more: tuple[str, str],
        method: str = "GET",
        end: bool = True,
        flush: bool = True,
    ) -> int:
        """Send a request's head, or have it sent with what follows; return its stream."""
        number = self.wire.get_next_available_stream_id()
        pseudo = {":method": method, ":path": path, ":scheme": "http", ":authority": "a"}
        self.wire.send_headers(number, [*pseudo.items(), *more], end_stream=end)
        if flush:
            self.flush()
        return number

    def widen(self, size: int, *streams: int) -> None:
        """Let the server send more, on each of some streams, or else on the connection."""
        for stream in streams or (None,):
            self.wire.increment_flow_control_window(size, stream)
        self.flush()

    async def upload(self, number: int, body: int | bytes) -> int:
        """Send so many bytes, or these, or until the stream is reset; return how many were sent."""
        data = b"x" * body if isinstance(body, int) else body
        sent, size = 0, len(data)
        while sent < size and not self.was(h2.events.StreamReset, number):
            room = min(self.wire.local_flow_control_window(number), 16384, size - sent)
            if room:
                self.wire.send_data(number, data[sent : sent + room])
                sent += room
                self.flush()
                await self._writer.drain()
            else:
                await self._read()
        if sent == size:
            self.wire.end_stream(number)
            self.flush()
        return sent

    def was(self, kind: type[T], number: int) -> T | None:
        """Return the first event of a kind on a stream."""
        found = (each for each in self.heard if isinstance(each, kind))
        return next((each for each in found if getattr(each, "stream_id", 0) == number), None)

    async def echo(self) -> None:
        """Wait until the server has read all that it was sent, and has done what was due."""

        def echoes() -> int:
            return sum(isinstance(each, h2.events.PingAckReceived) for each in self.heard)

        before = echoes()
        self.wire.ping(b"an echo.")
        self.flush()
        await self.wait(lambda: echoes() > before)

    async def until(self, kind: type[T], number: int) -> T:
        """Wait for an event of a kind on a stream."""
        while (found := self.was(kind, number)) is None:
            await self._read()
        return found

    async def over(self) -> None:
        """Wait until the server has closed the connection."""
        while not self.closed:
            await self._read(ending=True)

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Read until something holds."""
        while not condition():
            await self._read()

    def body(self, number: int) -> bytes:
        """Return what has come of an answer."""
        data = [each for each in self.heard if isinstance(each, h2.events.DataReceived)]
        return b"".join(each.data or b"" for each in data if each.stream_id == number)

    async def _read(self, *, ending: bool = False) -> None:
        async with asyncio.timeout(TIME):
            try:
                data = await self._reader.read(65536)
            except ConnectionError:
                data = b""
        self.closed = not data
        assert data or ending, f"the connection has ended: {self.heard}"
        if not ending:  # behind a GOAWAY the library takes nothing more
            self.heard += self.wire.receive_data(data)
            self.flush()

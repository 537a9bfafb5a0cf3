"""
The incoming messages of the WebSockets of one HTTP/2 connection, decompressed as apps read.

Rules of this file:

1. Data may be compressed a thousand times. It stays compressed while its app has unread messages.
2. The client gets credit for bytes that were decompressed and read, or thrown away.
3. The code that reads the connection never waits for this.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Final

from h2.errors import ErrorCodes

from lifecycle.serving.http2.stream import Stream
from lifecycle.serving.hypercorn import Data, WSStream
from lifecycle.serving.receive_queue import SLICE
from lifecycle.serving.websocket_buffer import MessageBuffer

MOST_UNPACKED: Final = 64 * 1024 * 1024
"""Bytes that all WebSockets of a connection may hold together: four of the longest messages."""


class Unpacker:
    """
    Decompresses the WebSockets of one connection.

    Args:
        streams: Returns all streams.
        tell: Passes data to a stream. It never raises.
        abandon: Ends a stream that cannot continue.
        break_off: Ends a stream whose client has received the reason.
        credit: Called with a stream, and how many of its bytes are processed.
    """

    def __init__(
        self,
        *,
        streams: Callable[[], Collection[Stream]],
        tell: Callable[[Stream, WSStream, Data], Awaitable[None]],
        abandon: Callable[[Stream, ErrorCodes], Awaitable[None]],
        break_off: Callable[[Stream], Awaitable[None]],
        credit: Callable[[Stream, int], None],
    ) -> None:
        self._streams = streams
        self._tell = tell
        self._abandon = abandon
        self._break_off = break_off
        self._credit = credit
        self._packed: dict[Stream, bytearray] = {}

    def holds(self, stream: Stream) -> bool:
        """Return whether `run` still works on a stream."""
        return stream in self._packed

    def put(self, stream: Stream, data: bytes) -> bool:
        """Store arrived data. Returns True if `run` must be started."""
        if (packed := self._packed.get(stream)) is not None:
            packed += data
            return False
        self._packed[stream] = bytearray(data)
        return True

    async def run(self, stream: Stream) -> None:
        """Pass data on, as the app reads it, until nothing is left."""
        packed = self._packed[stream]
        while packed and isinstance(stream.asgi, WSStream):
            if stream.over or stream.asgi.closed:
                break
            await self._unpack(stream, stream.asgi, packed)
        del self._packed[stream]
        if stream.heard and not (stream.said or stream.over):
            await self._abandon(stream, ErrorCodes.INTERNAL_ERROR)  # gone without a word
        self._credit(stream, len(packed))

    async def _unpack(self, stream: Stream, asgi: WSStream, packed: bytearray) -> None:
        if sum(map(unpacked, self._streams())) > MOST_UNPACKED:
            await self._abandon(stream, ErrorCodes.ENHANCE_YOUR_CALM)
            return
        data = bytes(packed[:SLICE])
        del packed[:SLICE]
        await self._tell(stream, asgi, Data(stream_id=stream.number, data=data))
        if stream.queue is not None:
            stream.queue.charge(len(data))
        if asgi.buffer.length > asgi.buffer.max_length and not stream.over:
            # Already reported. Otherwise it would grow without limit.
            await self._break_off(stream)


def unpacked(stream: Stream) -> int:
    """Return how many bytes wait for an app, and for the end of their message."""
    if stream.queue is None or not isinstance(stream.asgi, WSStream):
        return 0
    coming = stream.asgi.buffer
    return stream.queue.size + (coming.held if isinstance(coming, MessageBuffer) else coming.length)

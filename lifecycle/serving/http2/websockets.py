"""
What comes over the WebSockets of one HTTP/2 connection, unpacked no faster than apps read.

Rules of this file:

1. What may be compressed a thousand times stays as it came while its app leaves messages unread.
2. The client has credit again for what has been unpacked and read, and for what is thrown away.
3. Who reads the connection waits for none of this.
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
"""Bytes that all WebSockets of a connection hold together: four of the longest messages."""


class Unpacker:
    """
    One connection's.

    Args:
        streams: Returns all streams there are.
        tell: Hands what has come on to a stream; it raises nothing.
        abandon: Ends a stream that cannot go on.
        break_off: Ends one whose client has been told why.
        credit: Told of a stream, and how many of its bytes are out of the way.
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
        """Tell whether `run` is not done with a stream."""
        return stream in self._packed

    def put(self, stream: Stream, data: bytes) -> bool:
        """Keep what has come; True if `run` is to be started."""
        if (packed := self._packed.get(stream)) is not None:
            packed += data
            return False
        self._packed[stream] = bytearray(data)
        return True

    async def run(self, stream: Stream) -> None:
        """Hand on what has come, as the app reads it, until nothing is left."""
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
            # Told already; or it would grow for ever.
            await self._break_off(stream)


def unpacked(stream: Stream) -> int:
    """Return how many bytes wait for an app, and for the end of their message."""
    if stream.queue is None or not isinstance(stream.asgi, WSStream):
        return 0
    coming = stream.asgi.buffer
    return stream.queue.size + (coming.held if isinstance(coming, MessageBuffer) else coming.length)

"""
The responses of one HTTP/2 connection, sent as fast as the client accepts them.

Rules of this file:

1. Streams take turns, one frame each, as the client's windows allow.
2. The code that reads from the client must never wait for the client, not even to send a pong.
3. An app waits while its client does not accept its response, until little of it is left.
4. If a client accepts nothing of a response for `patience` seconds, the response is ended. A slow
   client that accepts at least one byte is not cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import h2.connection
import h2.exceptions
from h2.errors import ErrorCodes

from lifecycle.serving.http2.stream import Stream
from lifecycle.serving.hypercorn import (
    Body,
    Data,
    EndBody,
    EndData,
    InformationalResponse,
    RawData,
    Response,
    StreamEvent,
    Trailers,
    WireEvent,
)

HIGH_WATER: Final = 32 * 1024
"""Bytes of a response that may wait for the client before the app waits."""
MOST_UNASKED: Final = 1024 * 1024
"""Bytes of pongs and similar replies that may wait for a client before its stream is ended."""


class _Blocked(NamedTuple):
    """Since when a stream may send nothing, and how much its client had not accepted then."""

    since: float
    untaken: tuple[int, int]


class Sender:
    """
    Sends the responses of the apps. Made by the task that reads.

    Args:
        wire: The connection.
        send: Receives bytes to write, and waits for the socket.
        patience: Seconds within which a client must accept some of the waiting bytes.
        untaken: Returns how many sent bytes the client has not accepted: here, and in the kernel.
        own_headers: Returns the headers to add to those of the app.
        earn: Called for each frame of data.
        end: Ends a stream on which nothing more can be sent.
        left: Called for a stream whose app has returned, and whose whole response is sent.
        rests: Called when everything is sent that can be sent at the moment.
    """

    def __init__(
        self,
        wire: h2.connection.H2Connection,
        send: Callable[[WireEvent], Awaitable[None]],
        *,
        patience: float,
        untaken: Callable[[], tuple[int, int]],
        own_headers: Callable[[], list[tuple[bytes, bytes]]],
        earn: Callable[[], None],
        end: Callable[[Stream, ErrorCodes], Awaitable[None]],
        left: Callable[[Stream], Awaitable[None]],
        rests: Callable[[], Awaitable[None]],
    ) -> None:
        self._wire = wire
        self._send = send
        self._patience = patience
        self._untaken = untaken
        self._own_headers = own_headers
        self._earn = earn
        self._end = end
        self._left = left
        self._rests = rests
        self._reader = asyncio.current_task()
        self._clock = asyncio.get_running_loop().time
        self._ready: dict[Stream, None] = {}
        self._blocked: dict[Stream, _Blocked] = {}  # the longest first
        self._cut: set[Stream] = set()
        self._sent_at = 0.0
        self._wake = asyncio.Event()
        self._closed = False

    async def run(self) -> None:
        """Send waiting data, until `close`."""
        while not self._closed:
            await self._something()
            self._wake.clear()
            await self._give_up()
            while self._ready and not self._closed:
                await self._turn(next(iter(self._ready)))
            await self.flush()
            if not self._closed:
                await self._rests()

    async def _something(self) -> None:
        """Wait for data to send, or for a stream that has waited too long."""
        if not self._blocked:
            await self._wake.wait()
            return
        longest = next(iter(self._blocked.values()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(longest.since + self._patience):
                await self._wake.wait()

    async def _give_up(self) -> None:
        """End the streams to cut, and those whose client has accepted nothing for too long."""
        while self._cut and not self._closed:
            await self._end(self._cut.pop(), ErrorCodes.CANCEL)
        now = self._clock()
        while self._blocked and not self._closed:
            stream, blocked = next(iter(self._blocked.items()))
            if now < blocked.since + self._patience:
                return
            del self._blocked[stream]
            if self._takes(blocked, now):
                self._blocked[stream] = _Blocked(now, self._untaken())
            else:
                await self._end(stream, ErrorCodes.CANCEL)

    def _takes(self, blocked: _Blocked, now: float) -> bool:
        # Sent bytes may still be on their way to a slow client. If the window of the connection
        # is closed, progress of the whole connection counts.
        shut = self._wire.outbound_flow_control_window <= 0
        moves = shut and now < self._sent_at + self._patience
        return moves or self._untaken() != blocked.untaken

    def wake(self) -> None:
        """Send what the connection itself has to send."""
        self._wake.set()

    def ready(self, stream: Stream) -> None:
        """Send what a stream has, if anything."""
        if stream.waits:
            self._ready[stream] = None
        self._wake.set()

    def unblock(self) -> None:
        """Continue with all streams that may send again, the longest waiting first."""
        for stream in self._blocked:
            self.ready(stream)

    def forget(self, stream: Stream) -> None:
        """Send nothing more of a stream, and let its app continue."""
        self._ready.pop(stream, None)
        self._blocked.pop(stream, None)
        self._cut.discard(stream)
        stream.over = True
        stream.outgoing.clear()
        stream.room.set()
        self._wake.set()

    def cut(self, stream: Stream) -> None:
        """End a stream soon, even if a part of it has not left."""
        if not stream.over:
            self._cut.add(stream)
            self._wake.set()

    def reset(self, number: int, code: ErrorCodes) -> None:
        """Reset a stream, unless it has ended."""
        try:
            self._wire.reset_stream(number, code)
        except h2.exceptions.ProtocolError:
            return

    def close(self) -> None:
        """Send nothing more at all."""
        self._closed = True
        self._wake.set()

    async def flush(self) -> None:
        """Write what is ready to be written."""
        if data := self._wire.data_to_send():
            await self._send(RawData(data=bytes(data)))

    async def say(self, stream: Stream, event: StreamEvent) -> bool:
        """
        Send what an app sends. Returns False if the client leaves too many requested replies
        waiting.

        Raises:
            h2.exceptions.ProtocolError: The event cannot be sent.
        """
        match event:
            case InformationalResponse() | Response():
                stream.begun = event.status_code >= 200
                status = (b":status", b"%d" % event.status_code)
                headers = [status, *event.headers, *self._own_headers()]
                self._wire.send_headers(stream.number, headers)
                await self.flush()
            case Body() | Data():
                return await self._push(stream, event.data)
            case EndBody() | EndData():
                stream.discard()
                self._finish(stream)
            case Trailers():
                stream.trailers = event.headers
                self._finish(stream)
        return True  # a push is nothing that browsers take any more

    async def _push(self, stream: Stream, data: bytes) -> bool:
        if stream.said:
            return True
        stream.outgoing += data
        self.ready(stream)
        if not self._may_wait:
            return len(stream.outgoing) <= MOST_UNASKED
        while len(stream.outgoing) >= HIGH_WATER and not stream.over:
            stream.room.clear()
            await stream.room.wait()
        return True

    def _finish(self, stream: Stream) -> None:
        # Everything is sent. As over HTTP/1.1, no code waits until the last bytes have left.
        stream.said = True
        self.ready(stream)

    @property
    def _may_wait(self) -> bool:
        return asyncio.current_task() is not self._reader

    async def _turn(self, stream: Stream) -> None:
        del self._ready[stream]
        try:
            if self._frame(stream):
                self._ready[stream] = None
        except h2.exceptions.ProtocolError:
            await self._end(stream, ErrorCodes.INTERNAL_ERROR)
        await self.flush()
        if stream.leaves and not (stream.waits or stream.over):
            await self._left(stream)

    def _frame(self, stream: Stream) -> bool:
        """Send one frame. Returns whether there may be another."""
        if stream.over or not stream.waits:
            return False
        room = self._wire.local_flow_control_window(stream.number)
        if room < bool(stream.outgoing):  # below 0 not even the mark of the end may be sent
            if stream not in self._blocked:
                self._blocked[stream] = _Blocked(self._clock(), self._untaken())
            return False
        self._blocked.pop(stream, None)
        if stream.outgoing:
            self._sent_at = self._clock()
            size = min(room, self._wire.max_outbound_frame_size)
            data = bytes(stream.outgoing[:size])
            del stream.outgoing[:size]
            last = stream.said and not stream.outgoing and stream.trailers is None
            self._wire.send_data(stream.number, data, end_stream=last)
            self._earn()
        else:
            last = True
            if stream.trailers is None:
                self._wire.end_stream(stream.number)
            else:
                self._wire.send_headers(stream.number, stream.trailers, end_stream=True)
        stream.sent = last
        if last or len(stream.outgoing) < HIGH_WATER:
            stream.room.set()
        return stream.waits

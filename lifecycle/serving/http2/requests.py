"""
The requests of one HTTP/2 connection: their apps, bodies and responses.

Rules of this file:

1. Unread data of one stream stops no other stream. Each one has its own window, and the window of
   the connection is larger than all of them together.
2. The client gets credit for bytes that the app has read, and for bytes that are thrown away.
3. Whatever a client sends, no exception leaves this file. The stream ends instead.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Unpack

import h2.connection
import h2.events
import h2.exceptions
from h2.errors import ErrorCodes

from lifecycle.serving.app_runner import AppRunner, new_stream
from lifecycle.serving.http2.frame_limits import Budget
from lifecycle.serving.http2.open_streams import OpenStreams
from lifecycle.serving.http2.request_headers import asked, waits_to_be_asked
from lifecycle.serving.http2.sender import Sender
from lifecycle.serving.http2.stream import Stream
from lifecycle.serving.http2.unread_bodies import UnreadBodies
from lifecycle.serving.http2.websockets import Unpacker
from lifecycle.serving.hypercorn import (
    Body,
    EndBody,
    HTTPStream,
    InformationalResponse,
    Request,
    StreamArguments,
    StreamClosed,
    StreamEvent,
    Updated,
    WireEvent,
    WSStream,
)
from lifecycle.serving.receive_queue import MOST, ReceiveQueue

_log = logging.getLogger(__name__)


class Requests:
    """
    The requests of one connection. Made by the task that reads.

    Args:
        wire: The connection.
        budget: The limits of the client.
        tasks: The task group of the apps.
        state: The state of the lifespan.
        send: Receives bytes to write, and whether a request is running.
        write_now: Writes at once, without waiting for the client.
        calm: Ends a connection that exceeds the limits. Called with the reason.
        patience: Seconds within which a client must accept some of the waiting bytes.
        untaken: Returns how many sent bytes the client has not accepted: here, and in the kernel.
        arguments: The arguments of its streams.

    Attributes:
        closed: Whether the client is gone, or its connection is being closed.
        out: Sends the responses of the apps.
        refuses_from: The time of the loop from which new requests are refused.
    """

    def __init__(
        self,
        wire: h2.connection.H2Connection,
        budget: Budget,
        *,
        tasks: asyncio.TaskGroup,
        state: Any,
        send: Callable[[WireEvent], Awaitable[None]],
        write_now: Callable[[bytes], None],
        calm: Callable[[str], Awaitable[None]],
        patience: float,
        untaken: Callable[[], tuple[int, int]],
        **arguments: Unpack[StreamArguments],
    ) -> None:
        config = arguments["config"]
        self._arguments = arguments
        self._config = config
        self._state = state
        self._tasks = tasks
        self._send = send
        self._write_now = write_now
        self._calm = calm
        self._wire = wire
        self._budget = budget
        self._unread_bodies = UnreadBodies(self._hear_no_more)
        self._streams = OpenStreams(config.h2_max_concurrent_streams, self._unread_bodies)
        self.refuses_from = math.inf
        self._is_under_way = False
        self.closed = False
        self.out = Sender(
            wire,
            send,
            patience=patience,
            untaken=untaken,
            own_headers=lambda: config.response_headers("h2"),
            earn=budget.earn,
            end=self._abandon,
            left=self._leave,
            rests=self._rest,
        )
        self._unpacker = Unpacker(
            streams=self._streams.values,
            tell=self._tell,
            abandon=self._abandon,
            break_off=self._break_off,
            credit=self._credit,
        )

    @property
    def busy(self) -> bool:
        """True while a request is unanswered, not fully sent, or not fully received."""
        return self._streams.busy

    @property
    def answered(self) -> bool:
        """True if all requests wait only for their client."""
        return self._streams.answered

    async def _rest(self) -> None:
        """Report if no request is running any more. Called whenever this may have changed."""
        if self._is_under_way and not self.busy:
            self._is_under_way = False
            await self._send(Updated(idle=True))

    # Input

    async def open(self, number: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Start a request."""
        if self.closed:
            return
        stream = self._streams[number] = Stream(number)
        self._is_under_way = True
        await self._send(Updated(idle=False))
        late = asyncio.get_running_loop().time() >= self.refuses_from
        if late or self._streams.too_many:
            await self._refuse_stream(stream)
            return
        request = asked(number, headers, self._state)
        if isinstance(request, int):
            self._answer(stream, request)
            self.out.wake()
            return
        if not stream.over:  # the connection may have ended meanwhile
            # From here on its end can be reported, and the request must be reported first.
            stream.asgi = self._new_asgi_stream(stream, request)
            await self._tell(stream, stream.asgi, request)

    async def _tell(self, stream: Stream, asgi: HTTPStream | WSStream, event: StreamEvent) -> None:
        """Pass an event to hypercorn's stream. If this raises, only this stream ends."""
        try:
            await asgi.handle(event)
        except Exception as error:  # noqa: BLE001 - strangers' bytes: headers, WebSocket frames
            _log.debug("an HTTP/2 stream ended with an error: %r", error)
            await self._abandon(stream)
            return
        if asgi.closed and not stream.over:
            await self._close(stream)  # it has answered by itself

    def _new_asgi_stream(self, stream: Stream, request: Request) -> HTTPStream | WSStream:
        websocket = request.method == "CONNECT"

        async def ask() -> None:
            if not (stream.came or stream.heard or stream.begun) and waits_to_be_asked(request):
                await self.stream_send(InformationalResponse(stream.number, [], 100))

        def make(kind: str) -> ReceiveQueue:
            stream.queue = ReceiveQueue(
                kind,
                most=MOST if websocket else None,
                asked=None if websocket else ask,
                taken=lambda size: self._credit(stream, size),
            )
            return stream.queue

        def cut() -> None:
            if not stream.begun:
                self._answer(stream, 503)
                self._write_now(self._wire.data_to_send())

        runner = AppRunner(
            self._tasks,
            make,
            self._count,
            wanted=lambda: not stream.taken_back,
            cut=cut,
            abort=partial(self.out.cut, stream),
        )
        return new_stream(
            runner, stream.number, self.stream_send, websocket=websocket, **self._arguments
        )

    def _count(self, change: int) -> None:
        self._streams.running += change
        if change < 0:
            self.out.wake()

    async def data(self, event: h2.events.DataReceived) -> None:
        """Process a part of a body, or of a WebSocket."""
        stream = self._streams.get(event.stream_id)
        queue = stream.queue if stream is not None else None
        size, data = event.flow_controlled_length, event.data
        if stream is None or stream.asgi is None or queue is None:
            self._acknowledge(event.stream_id, size)
            self._unread_bodies.came(event.stream_id, size)
            return
        if isinstance(stream.asgi, HTTPStream):
            stream.came = True
            await self._tell(stream, stream.asgi, Body(stream_id=stream.number, data=data))
            queue.charge(size)
        elif stream.asgi.handshake.accepted:
            self._acknowledge(event.stream_id, size - len(data))  # the padding
            if self._unpacker.put(stream, data):
                self._tasks.create_task(self._unpacker.run(stream))
        else:
            self._answer(stream, 400)  # nothing may come before the answer
            await self._drop(stream)
            self._acknowledge(event.stream_id, size)

    async def heard(self, number: int) -> None:
        """Note that the client has sent the whole body."""
        self._hear_all(number)
        stream = self._streams.get(number)
        if stream is None:
            return
        stream.heard = True
        if isinstance(stream.asgi, WSStream):
            if not (stream.said or self._unpacker.holds(stream)):
                await self._abandon(stream)  # gone without a word
        elif isinstance(stream.asgi, HTTPStream):
            await self._tell(stream, stream.asgi, EndBody(stream_id=stream.number))

    async def reset(self, number: int) -> None:
        """Note that the client has cancelled a request."""
        stream = self._streams.get(number)
        if stream is None:
            self._hear_all(number)
            return
        early, stream.taken_back = not stream.sent, True
        await self._drop(stream)
        if early and not self._budget.take_back():
            await self._calm("too many cancelled requests")

    def unblock(self, number: int | None) -> None:
        """Continue to send, on one stream, or with 0 on all of them."""
        if not number:
            self.out.unblock()
        elif stream := self._streams.get(number):
            self.out.ready(stream)

    def _credit(self, stream: Stream, size: int) -> None:
        self._acknowledge(stream.number, size)
        self.out.wake()

    def _acknowledge(self, number: int, size: int) -> None:
        if size and not self.closed:
            try:
                self._wire.acknowledge_received_data(size, number)
            except h2.exceptions.ProtocolError:
                return  # the connection has ended

    # How it ends.

    async def close(self) -> None:
        """End all requests, because the client is gone."""
        self.closed = True
        for stream in [*self._streams.values()]:
            await self._drop(stream)
        self._unread_bodies.close()
        self.out.close()

    def take_back(self) -> None:
        """Start no app that has not started yet."""
        for stream in self._streams.values():
            stream.taken_back = True

    def refuse(self) -> None:
        """Answer each unanswered request."""
        for stream in [*self._streams.values()]:
            if not stream.begun:
                self._answer(stream, 503)

    async def _drop(self, stream: Stream) -> None:
        """Forget a stream that is over."""
        self._streams.pop(stream.number, None)
        self.out.forget(stream)
        if stream.asgi is not None:
            await stream.asgi.handle(StreamClosed(stream_id=stream.number))
            stream.asgi = stream.queue = None  # in a circle, they would wait for the collector

    async def _abandon(self, stream: Stream, code: ErrorCodes = ErrorCodes.INTERNAL_ERROR) -> None:
        """End a stream that cannot be ended properly."""
        self.out.reset(stream.number, code)
        await self._drop(stream)

    async def _refuse_stream(self, stream: Stream) -> None:
        await self._abandon(stream, ErrorCodes.REFUSED_STREAM)
        if not self._budget.take_back():
            await self._calm("more requests than the limit allows")

    def _hear_all(self, number: int) -> None:
        self._unread_bodies.ended(number)
        self.out.wake()

    def _hear_no_more(self, number: int) -> None:
        self.out.reset(number, ErrorCodes.NO_ERROR)
        self.out.wake()

    def _answer(self, stream: Stream, status: int) -> None:
        """Answer without an app."""
        stream.begun = stream.said = stream.sent = True
        self._streams.pop(stream.number, None)
        headers = [(b":status", b"%d" % status), (b"content-length", b"0")]
        try:
            headers += self._config.response_headers("h2")
            self._wire.send_headers(stream.number, headers, end_stream=True)
        except h2.exceptions.ProtocolError:
            return
        if not stream.heard:
            self._unread_bodies.expect(stream.number)

    # Output

    def let_go(self) -> None:
        """Break reference cycles at the end."""
        nobody: Any = None
        self.closed = True
        self._tasks = self._send = self._write_now = self._calm = nobody
        self._streams = self._unread_bodies = self._unpacker = self.out = nobody
        del self._arguments

    async def stream_send(self, event: StreamEvent) -> None:
        """Send what an app sends, unless its client is gone."""
        if self.closed or (stream := self._streams.get(event.stream_id)) is None:
            return
        try:
            if isinstance(event, StreamClosed):
                await self._close(stream)
            elif not await self.out.say(stream, event):
                await self._abandon(stream, ErrorCodes.ENHANCE_YOUR_CALM)
        except h2.exceptions.ProtocolError as error:
            # Its client has ended it, which is not reported yet, or it cannot be sent at all.
            _log.debug("an HTTP/2 response could not be sent: %r", error)
            await self._abandon(stream)

    async def _close(self, stream: Stream) -> None:
        """End a stream whose app has sent everything, or has returned."""
        if isinstance(stream.asgi, WSStream) and stream.queue is not None:
            stream.queue.disconnect()  # earlier messages of its client may still be read
            stream.said = stream.said or stream.begun
        else:
            stream.discard()
        stream.leaves = True
        if stream.waits:  # be it the beginning of an answer that breaks off here
            self.out.ready(stream)
        else:
            await self._leave(stream)

    async def _break_off(self, stream: Stream) -> None:
        """End a WebSocket after its close frame has left. Earlier bytes may still be read."""
        if stream.asgi is not None:
            await stream.asgi.handle(StreamClosed(stream_id=stream.number))
        stream.said = stream.leaves = True
        self.out.ready(stream)

    async def _leave(self, stream: Stream) -> None:
        if not stream.sent:
            self.out.reset(stream.number, ErrorCodes.INTERNAL_ERROR)  # an answer without its end
        elif not stream.heard:
            self._unread_bodies.expect(stream.number)
        await self._drop(stream)
        await self.out.flush()

"""
HTTP/1.1 and its WebSockets: hypercorn's protocol, with limits on unread bytes.

Rules of this file:

1. If a body is still arriving after its request was answered, it is read and thrown away, up to
   `DISCARDED` bytes. Then the connection continues. If more is announced, the response has
   `Connection: close`.
2. A client that waits for 100-continue gets it when the app asks for the body, and not before. If
   the app refuses an upload unread, the client sends nothing, and the connection ends.
3. A request with both Content-Length and Transfer-Encoding is the last one of its connection
   (RFC 9112, section 6.1).
4. If one read from the socket has ten thousand parts, the loop turns in between.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final, Unpack

import h11

from lifecycle.serving.app_runner import AppRunner, new_stream
from lifecycle.serving.http1.coalescing import Coalescer
from lifecycle.serving.http1.request_headers import (
    CONNECTION,
    HEAD,
    LENGTH,
    PREFACE,
    UPGRADE,
    asked,
    refusal,
)
from lifecycle.serving.hypercorn import (
    STREAM_ID,
    Body,
    Closed,
    Data,
    EndBody,
    EndData,
    H2CProtocolRequiredError,
    H2ProtocolAssumedError,
    H11Protocol,
    H11WSConnection,
    RawData,
    Request,
    Response,
    StreamArguments,
    StreamClosed,
    StreamEvent,
    Updated,
    WebSocketError,
    WebSocketState,
    WireEvent,
    WSStream,
)
from lifecycle.serving.receive_queue import MOST, SLICE, ReceiveQueue

DISCARDED: Final = 256 * 1024
"""Bytes of a body to read after the response, so that the connection can continue, as in Go."""
LEAST: Final = 1024
"""Bytes of a body that wait for an app that reads none."""
PARTS: Final = 64
"""Parts that are processed before the loop turns."""
CLOSE: Final = (CONNECTION, b"close")


class Http1(H11Protocol):
    """
    The HTTP/1.1 protocol of one connection.

    Args:
        plain: Use HTTP/1.1 only: no HTTP/2, no upgrade, and no body after the response.
        tasks: The task group of the apps.
        state: The state of the lifespan.
        send: Receives bytes to write, and the end of the connection.
        write_now: Writes at once, without waiting for the client.
        arguments: The arguments of its streams.
    """

    def __init__(
        self,
        *,
        plain: bool,
        tasks: asyncio.TaskGroup,
        state: Any,
        send: Callable[[WireEvent], Awaitable[None]],
        write_now: Callable[[bytes], None],
        **arguments: Unpack[StreamArguments],
    ) -> None:
        self._coalescer = Coalescer(send, write_now)
        runner: Any = AppRunner(tasks, self._new_queue, cut=self._cut_short)
        super().__init__(
            task_group=runner, send=self._coalescer.send, connection_state=state, **arguments
        )
        self._arguments = arguments
        self._runner = runner
        self._goes_on = asyncio.Event()
        self._write_now = write_now
        self._plain = plain
        self._queue: ReceiveQueue | None = None
        self._begun = self._whole = self._last = self._answered = False
        self._expected: int | None = None
        self._left = 0
        self._over = self._both_closed = False
        self._parts = 0

    def _new_queue(self, kind: str) -> ReceiveQueue:
        most = LEAST if self._plain else MOST
        self._queue = ReceiveQueue(kind, most=most, asked=self._continue)
        return self._queue

    async def _continue(self) -> None:
        if self.connection.they_are_waiting_for_100_continue:
            headers = self.config.response_headers("h11")
            await self._say(h11.InformationalResponse(status_code=100, headers=headers))

    busy = answered = False
    """Always False: only apps and the socket have work."""

    @property
    def unread(self) -> bool:
        """True if the client has sent, or will send, bytes that were not read."""
        if isinstance(self.connection, H11WSConnection):
            return self._begun and not self._both_closed
        more: bool = self.connection.their_state in (h11.SEND_BODY, h11.ERROR)
        return more or bool(self.connection.trailing_data[0])

    @property
    def half_read(self) -> bool:
        """True if a part of a request has arrived."""
        return bool(self.connection.trailing_data[0])

    def goodbye(self) -> bytes:
        """Return no bytes, because the end of the connection is enough."""
        return b""

    def refuse_from(self, when: float) -> None:
        """Do nothing, because no request follows a response while the server closes."""

    def hung_up(self) -> None:
        """Report to the app that its client is gone, if the app has the whole request."""
        if self._whole and self._queue is not None:
            self._queue.disconnect()

    def cut(self, status: int = 503) -> bytes:
        """Return a last response for an unanswered request, and drop the app's own response."""
        if self.stream is None or self._begun or self._over:
            return b""
        self._begun = self._answered = True
        wire = self.connection
        if isinstance(wire, H11WSConnection):
            wire = wire.h11_connection
        try:
            head = wire.send(h11.Response(status_code=status, headers=[CLOSE, (LENGTH, b"0")]))
            return bytes(head + wire.send(h11.EndOfMessage()))
        except h11.LocalProtocolError:
            return b""

    def _cut_short(self) -> None:
        self._write_now(self.cut())
        self._over = True

    async def handle(self, event: WireEvent) -> None:
        """Process arrived bytes, or the end of the client."""
        if type(event) is not RawData:
            await super().handle(event)
        elif self.connection.their_state is not h11.ERROR:
            self.connection.receive_data(event.data)
            await self._take_events()

    async def _take_events(self) -> None:
        while not self._over:
            try:
                event = self.connection.next_event()
            except h11.RemoteProtocolError as error:
                if not (self._whole and self.stream is not None):
                    await self._refuse(error.error_status_hint)
                return  # or it has ended its stream, and still gets its response
            # By type: `isinstance` of h11's abstract classes costs more than the rest of this.
            kind = type(event)
            if event is h11.NEED_DATA or kind is h11.ConnectionClosed:
                return
            if event is h11.PAUSED:
                self._goes_on.clear()
                await self._goes_on.wait()
            else:
                await self._TAKERS[kind](self, event)

    async def _begin(self, request: h11.Request) -> None:
        await self.send(Updated(idle=False))
        asks = asked(request)
        self._begun = self._whole = False
        self._last = asks.coded and asks.length is not None
        self._expected = None if asks.coded else asks.length or 0
        self._left = 0 if self._plain else DISCARDED
        if request.method != HEAD == request.method.upper():
            await self._refuse(501)  # hypercorn would leave out a body that h11 waits for
        elif self._plain and (refused := refusal(request)):
            await self._refuse(*refused)
        elif asks.h2c and not self._plain:
            headers = [*self.config.response_headers("h11"), (CONNECTION, UPGRADE)]
            headers.append((UPGRADE, b"h2c"))
            await self._say(h11.InformationalResponse(status_code=101, headers=headers))
            raise H2CProtocolRequiredError(self.connection.trailing_data[0], request)
        elif asks.http2:
            raise H2ProtocolAssumedError(PREFACE + self.connection.trailing_data[0])
        else:
            await self._open(request, websocket=asks.websocket)

    async def _open(self, request: h11.Request, *, websocket: bool) -> None:
        """Start a request."""
        wire: Any = self.connection  # h11's
        stream = new_stream(
            self._runner, STREAM_ID, self.stream_send, websocket=websocket, **self._arguments
        )
        self.stream = stream
        if websocket:
            self.connection = H11WSConnection(wire)
        try:
            await stream.handle(
                Request(
                    stream_id=STREAM_ID,
                    headers=list(request.headers),
                    http_version=request.http_version.decode(),
                    method=request.method.decode("ascii").upper(),
                    raw_path=request.target,
                    state=self.connection_state,
                )
            )
        except UnicodeDecodeError:  # headers that a WebSocket's handshake is read from
            self.connection, self.stream = wire, None
            await self._refuse(400)
            return
        self.keep_alive_requests += 1
        if self.stream is not None and self.stream.closed:
            await self._recycle()  # it has answered by itself

    async def _say(
        self, event: h11.InformationalResponse | h11.Response | h11.Data | h11.EndOfMessage
    ) -> None:
        """Send an event. A client that has broken the protocol gets nothing if it is too late."""
        try:
            data = self.connection.send(event)
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR:
                raise
        else:
            await self.send(RawData(data or b""))

    async def _end_stream(self) -> None:
        if self.stream is not None:
            await self.stream.handle(StreamClosed(stream_id=STREAM_ID))
            self.stream = None

    async def _refuse(self, status: int, reason: str = "") -> None:
        if self.connection.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            body = reason.encode()
            headers = [(LENGTH, b"%d" % len(body)), CLOSE, *self.config.response_headers("h11")]
            if body:
                headers.append((b"content-type", b"text/plain; charset=utf-8"))
            await self._say(h11.Response(status_code=status, headers=headers))
            if body:
                await self._say(h11.Data(data=body))
            await self._say(h11.EndOfMessage())
        await self._finish()

    async def _cut_off(self, status: int) -> None:
        last = self.cut(status)
        await self._end_stream()
        if last:
            await self.send(RawData(last))
        await self._finish()

    async def _finish(self) -> None:
        if not self._over:
            self._over = True
            await self._end_stream()
            self._goes_on.set()
            await self.send(Closed())

    async def _talk(self, event: Data) -> None:
        """Pass on what arrived over a WebSocket."""
        data = event.data
        for start in range(0, len(data), SLICE):
            stream = self.stream
            if not isinstance(stream, WSStream):
                return
            if not stream.handshake.accepted:
                await self._cut_off(400)  # nothing may come before the answer
                return
            try:
                await stream.handle(Data(stream_id=STREAM_ID, data=data[start : start + SLICE]))
            except WebSocketError:  # wsproto's: something came behind the end
                await self._finish()
                return
            if stream.buffer.length > stream.buffer.max_length:
                await self._finish()  # already reported; otherwise it would grow without limit

    async def _take(self, event: h11.Data) -> None:
        # Here, and not between a request without a body and its end, in which it is answered.
        self._parts += 1
        if self._parts % PARTS == 0:
            await asyncio.sleep(0)
        data = bytes(event.data)
        if self._expected is not None:
            self._expected -= len(data)
        if self.stream is not None:
            await self.stream.handle(Body(stream_id=STREAM_ID, data=data))
            return
        self._left -= len(data)
        if self._left < 0:
            await self._finish()

    async def _take_end(self, _: h11.EndOfMessage) -> None:
        self._whole = True
        if self.stream is not None:
            await self.stream.handle(EndBody(stream_id=STREAM_ID))
        else:
            await self._recycle()

    async def stream_send(self, event: StreamEvent) -> None:
        """Send what the app sends. After the end of the connection, send nothing."""
        if (self._over or self._answered) and not isinstance(event, StreamClosed):
            return
        if isinstance(event, Response):
            self._begun = True
            if event.status_code >= 200 and self._ends():
                kept = [pair for pair in event.headers if pair[0].lower() != CLOSE[0]]
                event = dataclasses.replace(event, headers=[*kept, CLOSE])
            self._coalescer.expect_head()
        if isinstance(event, StreamClosed):
            await self._recycle()
        else:
            await super().stream_send(event)
        if isinstance(event, (EndBody, EndData)) and self._queue is not None:
            self._queue.discard()

    def _ends(self) -> bool:
        """Return whether the connection must end after this response."""
        if self._last or self.connection.they_are_waiting_for_100_continue:
            return True
        coming: bool = self.connection.their_state is h11.SEND_BODY
        return coming and (self._plain or (self._expected or 0) > self._left)

    async def _recycle(self) -> None:
        stream, ours = self.stream, self.connection.our_state
        if self._queue is not None and isinstance(stream, WSStream):
            self._queue.disconnect()  # earlier messages of its client may still be read
        elif self._queue is not None:
            self._queue.discard()
        if isinstance(stream, WSStream) and stream.handshake.accepted:
            self._both_closed = stream.connection.state is WebSocketState.CLOSED
        await self._end_stream()
        if self._over:
            return
        if ours is h11.DONE and self.connection.their_state is h11.DONE:
            self.connection.start_next_cycle()
            self._goes_on.set()
            await self.send(Updated(idle=True))
        elif ours is h11.DONE and self.connection.their_state is h11.SEND_BODY and self._left > 0:
            self._goes_on.set()
            await self.send(Updated(idle=True))
        else:
            await self._finish()

    def let_go(self) -> None:
        """Break reference cycles, so that memory is freed without the garbage collector."""
        nobody: Any = None
        self._over = True
        self.task_group = self._runner = self.send = self._coalescer = nobody
        self.stream = self._queue = None

    _TAKERS: ClassVar[dict[type, Callable[[Http1, Any], Awaitable[None]]]] = {
        h11.Request: _begin,
        h11.Data: _take,
        h11.EndOfMessage: _take_end,
        Data: _talk,
    }

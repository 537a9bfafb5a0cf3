"""
HTTP/2: the h2 library's, with what an ASGI app is told by hypercorn's streams.

Rules of this file:

1. What one stream leaves unread stops no other: each has a window of its own, and the
   connection's is larger than all of them together.
2. The client has credit again for what the app has taken, and for what is thrown away.
3. Frames that ask for work, and requests taken back, are budgeted: who sends more than
   anybody needs is told ENHANCE_YOUR_CALM, and closed.
4. Priorities are not looked at, as RFC 9113 (section 5.3) allows: streams take turns.
5. Whatever a client sends, this raises nothing: the connection ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import h2.events
import h2.exceptions
import h2.settings
from h2.errors import ErrorCodes
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Body, EndBody, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.protocol.ws_stream import WSStream

from lifecycle.serving.budgets import Budget
from lifecycle.serving.inbox import MOST, Inbox
from lifecycle.serving.leftovers import Leftovers
from lifecycle.serving.opening import asked
from lifecycle.serving.sending import Sender, Stream, new_wire
from lifecycle.serving.tasks import Spawner
from lifecycle.serving.unpacking import Unpacker

_log = logging.getLogger(__name__)

WINDOW: Final = 65_535
"""Bytes that a stream may send before its app reads: HTTP/2's own default."""
PIECE: Final = 4 * 1024
"""Bytes taken apart before the loop comes round, where frames are small."""
MANY: Final = 128
"""Frames in one read that make them small."""


class Http2:
    """
    One connection's HTTP/2.

    Args:
        task_group: Where apps run.
        send: Takes what is to be written, and that the connection is to end.
        blurt: Writes at once, without waiting for the client.
        arguments: What hypercorn's streams are made of, by name.
    """

    def __init__(
        self,
        *,
        config: Any,
        context: Any,
        task_group: Any,
        connection_state: Any,
        send: Callable[[Event], Awaitable[None]],
        blurt: Callable[[bytes], None],
        **arguments: Any,
    ) -> None:
        self._arguments = {"config": config, "context": context, **arguments}
        self._config = config
        self._state = connection_state
        self._tasks = task_group
        self._send = send
        self._blurt = blurt
        self._budget = Budget(asyncio.get_running_loop().time)
        self._streams: dict[int, Stream] = {}
        self._leftovers = Leftovers(self._hear_no_more)
        self._most: int = config.h2_max_concurrent_streams
        self._running = 0
        self._closed = False
        self._wire = new_wire(config)
        self._out = Sender(
            self._wire,
            send,
            own_headers=lambda: config.response_headers("h2"),
            earn=self._budget.earn,
            lost=self._drop,
            left=self._leave,
        )
        self._unpacker = Unpacker(
            streams=self._streams.values,
            tell=self._tell,
            abandon=self._abandon,
            credit=self._credit,
        )

    @property
    def unsent(self) -> bool:
        """True while an answer waits for its client, be it for the mark of its end."""
        return any(stream.waits for stream in self._streams.values())

    @property
    def unread(self) -> bool:
        """True: a client may always have more to say."""
        return True

    half_read = False
    """What is no whole frame yet is no request."""

    async def initiate(
        self, headers: list[tuple[bytes, bytes]] | None = None, settings: bytes | None = None
    ) -> None:
        """Say hello; `headers`: of the request that has asked to go on in HTTP/2."""
        try:
            if settings is None:
                self._wire.initiate_connection()
            else:
                self._wire.initiate_upgrade_connection(settings)
        except Exception:  # noqa: BLE001 - a stranger's settings, in base64
            await self._finish()
            return
        # All streams' windows, twice: credit is given back when half of it is used.
        self._wire.increment_flow_control_window(2 * self._most * WINDOW)
        await self._out.flush()
        self._tasks.spawn(self._out.run)
        if headers is not None:
            await self._open(1, headers)
            await self._heard(1)

    # What comes in.

    async def handle(self, event: Event) -> None:
        """Take what a client has sent, or that it is gone."""
        if isinstance(event, RawData):
            await self._receive(event.data)
        elif isinstance(event, Closed) and not self._closed:
            self._closed = True
            for stream in [*self._streams.values()]:
                await self._drop(stream)
            self._leftovers.close()
            self._out.close()

    async def _receive(self, data: bytes) -> None:
        frames, fair = self._budget.read(data)
        if not fair:
            await self._calm("more control frames than anybody needs")
            return
        size = PIECE if frames > MANY else len(data) or 1
        for start in range(0, len(data), size):
            if start:
                await asyncio.sleep(0)
            if self._closed:
                return
            try:
                events = self._wire.receive_data(data[start : start + size])
            except Exception as error:  # noqa: BLE001 - h2 raises more than it says
                _log.debug("HTTP/2 has ended: %r", error)
                await self._finish()
                return
            for event in events:
                await self._take(event)
            await self._out.flush()

    async def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self._budget.earn()
                await self._open(event.stream_id, event.headers)
            case h2.events.DataReceived():
                await self._data(event)
            case h2.events.StreamEnded():
                await self._heard(event.stream_id)
            case h2.events.StreamReset():
                await self._reset(event.stream_id)
            case h2.events.WindowUpdated():
                self._unblock(event.stream_id)
            case h2.events.RemoteSettingsChanged():
                if h2.settings.SettingCodes.INITIAL_WINDOW_SIZE in event.changed_settings:
                    self._unblock(0)
            case h2.events.ConnectionTerminated():
                await self._finish()

    async def _open(self, number: int, headers: list[tuple[bytes, bytes]]) -> None:
        if self._closed:
            return
        stream = self._streams[number] = Stream(number)
        if self._running >= 2 * self._most:
            # Apps that go on for clients who have taken their requests back.
            await self._refuse_stream(stream)
            return
        request = asked(number, headers, self._state)
        if isinstance(request, int):
            self._answer(stream, request)
            return
        await self._send(Updated(idle=False))
        if not stream.over:  # the connection may have ended meanwhile
            # From here on it can be told of its end: it is told of its request first.
            stream.talk = self._talker(stream, websocket=request.method == "CONNECT")
            await self._tell(stream, stream.talk, request)

    async def _tell(self, stream: Stream, talk: HTTPStream | WSStream, event: StreamEvent) -> None:
        """Tell hypercorn's stream what has come; whatever it raises ends this stream alone."""
        try:
            await talk.handle(event)
        except Exception as error:  # noqa: BLE001 - strangers' bytes: headers, WebSocket frames
            _log.debug("an HTTP/2 stream has ended: %r", error)
            await self._abandon(stream)
            return
        if talk.closed and not stream.over:
            await self._close(stream)  # it has answered by itself

    def _talker(self, stream: Stream, *, websocket: bool) -> HTTPStream | WSStream:
        def make(kind: str) -> Inbox:
            most = MOST if kind == "websocket" else None
            stream.inbox = Inbox(kind, most=most, taken=lambda size: self._credit(stream, size))
            return stream.inbox

        def cut() -> None:
            if not stream.begun:
                self._answer(stream, 503)
                self._blurt(self._wire.data_to_send())

        spawner: Any = Spawner(
            self._tasks, make, self._count, wanted=lambda: not stream.taken_back, cut=cut
        )
        return (WSStream if websocket else HTTPStream)(
            task_group=spawner,
            send=self.stream_send,
            stream_id=stream.number,
            **self._arguments,
        )

    def _count(self, change: int) -> None:
        self._running += change

    async def _data(self, event: h2.events.DataReceived) -> None:
        stream = self._streams.get(event.stream_id)
        inbox = stream.inbox if stream is not None else None
        size, data = event.flow_controlled_length, event.data
        if stream is None or stream.talk is None or inbox is None:
            self._acknowledge(event.stream_id, size)
            self._leftovers.came(event.stream_id, size)
            return
        if isinstance(stream.talk, HTTPStream):
            await self._tell(stream, stream.talk, Body(stream_id=stream.number, data=data))
            inbox.charge(size)
        elif stream.talk.handshake.accepted:
            self._acknowledge(event.stream_id, size - len(data))  # what was padding
            if self._unpacker.put(stream, data):
                self._tasks.spawn(self._unpacker.run, stream)
        else:
            self._answer(stream, 400)  # nothing may come before the answer
            await self._drop(stream)
            self._acknowledge(event.stream_id, size)

    async def _heard(self, number: int) -> None:
        self._leftovers.ended(number)
        stream = self._streams.get(number)
        if stream is None:
            return
        stream.heard = True
        if isinstance(stream.talk, WSStream):
            if not (stream.said or self._unpacker.holds(stream)):
                await self._abandon(stream)  # gone without a word
        elif isinstance(stream.talk, HTTPStream):
            await self._tell(stream, stream.talk, EndBody(stream_id=stream.number))

    async def _reset(self, number: int) -> None:
        stream = self._streams.get(number)
        if stream is None:
            self._leftovers.ended(number)
            return
        early, stream.taken_back = not stream.sent, True
        await self._drop(stream)
        if early and not self._budget.take_back():
            await self._calm("more requests taken back than anybody needs to")

    def _unblock(self, number: int | None) -> None:
        streams = [self._streams[number]] if number in self._streams else []
        for stream in streams if number else self._streams.values():
            self._out.ready(stream)

    def _credit(self, stream: Stream, size: int) -> None:
        self._acknowledge(stream.number, size)
        self._out.wake()

    def _acknowledge(self, number: int, size: int) -> None:
        if size and not self._closed:
            try:
                self._wire.acknowledge_received_data(size, number)
            except h2.exceptions.ProtocolError:
                return  # the connection has ended

    # How it ends.

    async def _drop(self, stream: Stream) -> None:
        """Forget a stream that is over."""
        self._streams.pop(stream.number, None)
        self._out.forget(stream)
        if stream.talk is not None:
            await stream.talk.handle(StreamClosed(stream_id=stream.number))

    async def _abandon(self, stream: Stream, code: ErrorCodes = ErrorCodes.INTERNAL_ERROR) -> None:
        """End a stream that cannot be ended in order."""
        self._out.reset(stream.number, code)
        await self._drop(stream)

    async def _refuse_stream(self, stream: Stream) -> None:
        await self._abandon(stream, ErrorCodes.REFUSED_STREAM)
        if not self._budget.take_back():
            await self._calm("more requests than are answered")

    def _hear_no_more(self, number: int) -> None:
        self._out.reset(number, ErrorCodes.NO_ERROR)
        self._out.wake()

    async def _calm(self, why: str) -> None:
        _log.debug("HTTP/2: ENHANCE_YOUR_CALM, %s", why)
        for stream in self._streams.values():
            stream.taken_back = True
        try:
            self._wire.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
        except h2.exceptions.ProtocolError:
            return
        finally:
            await self._finish()

    async def _finish(self) -> None:
        # Who floods may not read either: nothing is waited for.
        self._blurt(self._wire.data_to_send())
        await self.handle(Closed())
        await self._send(Closed())

    def hung_up(self) -> None:
        """Do nothing: what comes is always read, and so is the end of it."""

    def cut(self) -> bytes:
        """Return a last answer for each request that has none."""
        for stream in [*self._streams.values()]:
            if not stream.begun:
                self._answer(stream, 503)
        try:
            return bytes(self._wire.data_to_send())
        except h2.exceptions.ProtocolError:
            return b""

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
            self._leftovers.expect(stream.number)

    # What goes out.

    async def stream_send(self, event: StreamEvent) -> None:
        """Send what an app answers; to nobody, if its client is gone."""
        stream = self._streams.get(event.stream_id)
        if stream is None or self._closed:
            if isinstance(event, StreamClosed):
                await self._send(Updated(idle=not self._streams))
            return
        try:
            if isinstance(event, StreamClosed):
                await self._close(stream)
            elif not await self._out.say(stream, event):
                await self._abandon(stream, ErrorCodes.ENHANCE_YOUR_CALM)
        except h2.exceptions.ProtocolError as error:
            # Its client has ended it, and that is not yet told; or it cannot be sent at all.
            _log.debug("HTTP/2: nothing could be sent: %r", error)
            await self._abandon(stream)

    async def _close(self, stream: Stream) -> None:
        """End a stream whose app has said all, or has returned."""
        stream.discard()
        if isinstance(stream.talk, WSStream) and stream.begun:
            stream.said = True
        stream.leaves = True
        if stream.sent or not stream.said:
            await self._leave(stream)
        else:
            self._out.ready(stream)

    async def _leave(self, stream: Stream) -> None:
        if not stream.sent:
            self._out.reset(stream.number, ErrorCodes.INTERNAL_ERROR)  # an answer without its end
        elif not stream.heard:
            self._leftovers.expect(stream.number)
        await self._drop(stream)
        await self._out.flush()
        await self._send(Updated(idle=not self._streams))

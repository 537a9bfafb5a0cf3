"""
WebSockets are closed with 1001, and streams of events ended, when the settle time is over.

Rules of this file:

1. Only what its client opens again by itself is ended: a WebSocket is closed with 1001,
   "going away"; an EventSource connects again, with the id of the last event it has seen.
2. Who asks like an EventSource, and what is no endless answer, is defined in
   `event_streams`. Any other response, however long, is work in flight and is waited for: the
   answer of a language model that is streamed to a POST has an end, and nobody asks for it twice.
3. It is ended between two messages, and the app is told: by a disconnect, by an error where
   it sends, by cancellation.
4. From T0 on every message lets the loop come round: an app that pushes without a pause
   would otherwise leave no moment in which anything could be ended.
5. A client has as long to take its end as the drain waits for quiet, `PATIENCE` at most; one
   that has stopped reading holds nobody up.
6. What the client of a closed WebSocket still sends is read and thrown away. If nobody read
   it, the server would wait for room in its queue; and a connection that is closed over what
   is unread is reset, before its client has seen the 1001. A client that is busy sending may
   come to it late: its connection lingers, the drain goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

import anyio

from lifecycle.event_streams import EVENTS, STREAM_HEADER, asks_for_events, is_endless

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]
"""Any, because each framework has types of its own for the three."""

GOING_AWAY: Final = 1001
PATIENCE: Final = 1.0
"""Seconds that a client has at most to take its end."""
LEAST_PATIENCE: Final = 0.1
"""And at least: the end has to be sent first."""
LINGER: Final = 5.0
"""Seconds that it has if it goes on sending: it will see the 1001 behind what it has not read."""
MAY_BE_EVENTS: Final = b"event-stream"
"""What stands, in any case, in the Accept of whoever may ask for events."""
SHORTEST: Final = len(EVENTS)
"""What is shorter than this accepts no events."""


def is_event_source(scope: Scope) -> bool:
    """Tell whether an EventSource asks: it will connect again when its stream has ended."""
    return asks_for_events(scope.get("method", ""), _lines(scope["headers"], b"accept"))


class _Gone(OSError):
    """What ASGI raises for a message to a client that is gone."""


class _LongLived:
    """
    What never ends by itself.

    Args:
        receive: The server's.
        send: The server's.
        draining: Tells whether T0 has come.
        abort: Cuts the connection, if nobody else is on it.
        patience: Seconds that the client has to take its end.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        draining: Callable[[], bool] = lambda: False,
        abort: Callable[[], object] = lambda: None,
        patience: float = PATIENCE,
    ) -> None:
        self._receive = receive
        self._send = send
        self._draining = draining
        self._abort = abort
        self._patience = patience
        self._begun = asyncio.Event()
        self._ended = False
        self.on_end: Callable[[], object] = lambda: None
        """Called when it is ended from here: its client is to come again, elsewhere."""
        self._limit = asyncio.timeout(None)

    async def _limited(self, app: Awaitable[None]) -> None:
        try:
            async with self._limit:
                await app
        except TimeoutError:
            if not self._limit.expired():
                raise

    def _cancel_app(self) -> None:
        self._limit.reschedule(asyncio.get_running_loop().time())


class WebSocket(_LongLived):
    """One WebSocket: closed with 1001 when the settle time is over."""

    _receiving: anyio.CancelScope | None = None
    _ending: asyncio.Task[None] | None = None
    _sending = 0
    _ends_at = _heard_at = 0.0

    async def run(self, app: App, scope: Scope) -> None:
        """Have the app talk; what it still says to a closed WebSocket is nobody's error."""
        try:
            with contextlib.suppress(_Gone):
                await self._limited(app(scope, self.receive, self.send))
        finally:
            if self._ending is not None:
                left = self._ends_at + self._patience - asyncio.get_running_loop().time()
                await asyncio.wait({self._ending}, timeout=max(0.0, left))

    async def linger(self) -> None:
        """Let a client that is busy sending come to see its 1001; no work in flight any more."""
        if self._ending is not None:
            await asyncio.wait({self._ending})

    async def end_when(self, moment: Callable[[], Awaitable[None]]) -> None:
        """Close it once the moment has come."""
        await moment()
        await self._begun.wait()
        if not self._ended:
            self._ended = True
            self.on_end()
            self._ends_at = self._heard_at = asyncio.get_running_loop().time()
            self._ending = asyncio.create_task(self._end())

    async def _end(self) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(self._patience, self._cancel_sending)
        if self._receiving is not None:
            self._receiving.cancel()
        reading = asyncio.create_task(self._read_out())
        closing = asyncio.create_task(self._close())
        late = {reading, closing}
        while late and (left := self._patient_until() - loop.time()) > 0:
            _, late = await asyncio.wait(late, timeout=left)
        if late:
            closing.cancel()
            self._abort()
        # Not at once: the server's own end puts something into its queue too.
        loop.call_later(self._patience, reading.cancel)

    def _patient_until(self) -> float:
        return min(self._heard_at + self._patience, self._ends_at + LINGER)

    def _cancel_sending(self) -> None:
        if self._sending:
            self._cancel_app()

    async def _close(self) -> None:
        with contextlib.suppress(Exception):  # the client may be gone meanwhile
            await self._send({"type": "websocket.close", "code": GOING_AWAY})

    async def _read_out(self) -> None:
        await asyncio.sleep(0)  # the app's own `receive` ends first
        with contextlib.suppress(Exception):
            while (await self._receive())["type"] != "websocket.disconnect":
                self._heard_at = asyncio.get_running_loop().time()

    async def send(self, message: Message) -> None:
        if self._draining():
            await asyncio.sleep(0)
        if self._ended:
            raise _Gone("the WebSocket is closed: the app is leaving")
        if message["type"] == "websocket.close":
            self._ended = True
        self._sending += 1
        try:
            await self._send(message)
        finally:
            self._sending -= 1
        if message["type"] == "websocket.accept":
            self._begun.set()

    async def receive(self) -> Message:
        with anyio.CancelScope() as self._receiving:
            if not self._ended:
                return await self._receive()
        return {"type": "websocket.disconnect", "code": GOING_AWAY}


class EventStream(_LongLived):
    """One response to an EventSource: ended between two events when the settle time is over."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._one_at_a_time = asyncio.Lock()

    async def run(self, app: App, scope: Scope) -> None:
        """Have the app answer; its stream's end cancels it."""
        await self._limited(app(scope, self._receive, self.send))

    async def end_when(self, moment: Callable[[], Awaitable[None]]) -> None:
        """End it once the moment has come, if what the app sends is a stream of events."""
        await moment()
        await self._begun.wait()
        try:
            async with asyncio.timeout(self._patience), self._one_at_a_time:
                if self._ended:
                    return
                self._ended = True
                self.on_end()
                with contextlib.suppress(Exception):  # the client may be gone meanwhile
                    await self._send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            self._ended = True
            self.on_end()
            self._abort()
        self._cancel_app()

    async def send(self, message: Message) -> None:
        if self._draining():
            await asyncio.sleep(0)
        async with self._one_at_a_time:
            if self._ended:
                return  # what the app still says to an ended stream is nobody's error
            starts = message["type"] == "http.response.start"
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self._ended = True
            await self._send(message)
        if starts and _is_endless(message):
            self._begun.set()


def _is_endless(message: Message) -> bool:
    headers = tuple(message.get("headers", ()))
    types = _lines(headers, b"content-type")
    kinds = _lines(headers, STREAM_HEADER.lower().encode())
    return bool(types) and is_endless(types[0], *kinds[:1])


def _lines(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in headers if name.lower() == wanted]

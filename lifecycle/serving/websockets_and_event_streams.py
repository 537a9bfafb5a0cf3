"""
The end of long-lived connections after the settle time: WebSockets and event streams.

Rules of this file:

1. Only connections that clients reopen by themselves are ended. A WebSocket is closed with 1001,
   "going away". An EventSource reconnects with the id of the last event that it has seen.
2. `event_streams` defines which request comes from an EventSource, and which response is endless.
   Any other response, however long, is work in flight, and the drain waits for it. For example, the
   streamed answer of a language model to a POST has an end, and a client does not repeat the POST.
3. The connection is ended between two messages, and the app is informed: by a disconnect, by an
   error when it sends, or by cancellation.
4. While clients are told to go, the loop turns at every message. Otherwise an app that sends
   without a pause would leave no moment in which anything can be ended.
5. A client has as long to read the end as the drain waits for quiet, at most `PATIENCE`. A client
   that has stopped reading delays nothing.
6. Data that the client of a closed WebSocket still sends is read and thrown away. Otherwise the
   server would wait for room in its queue. A connection that is closed with unread data is also
   reset before its client has seen the 1001. A client that is busy sending may read it late: its
   connection lingers, while the drain continues.
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
"""An ASGI app. It is Any, because each framework has its own types for the three arguments."""

GOING_AWAY: Final = 1001
PATIENCE: Final = 1.0
"""The maximum seconds for a client to read the end."""
LEAST_PATIENCE: Final = 0.1
"""The minimum seconds for it, because the end has to be sent first."""
LINGER: Final = 5.0
"""Seconds for a client that continues to send, and reads the 1001 after its unread data."""
MAY_BE_EVENTS: Final = b"event-stream"
"""Text that every Accept header for events contains."""
SHORTEST: Final = len(EVENTS)
"""The length below which an Accept header cannot be one for events."""


def is_event_source(scope: Scope) -> bool:
    """Return whether a request comes from an EventSource, which reconnects after the end."""
    return asks_for_events(scope.get("method", ""), _lines(scope["headers"], b"accept"))


class _Gone(OSError):
    """The error that ASGI raises for a message to a client that is gone."""


class _LongLived:
    """
    A connection that never ends by itself.

    Args:
        receive: The server's function.
        send: The server's function.
        sends_away: Returns whether clients are told to go.
        abort: Cuts the connection, if no other request uses it.
        patience: Seconds for the client to read the end.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        sends_away: Callable[[], bool] = lambda: False,
        abort: Callable[[], object] = lambda: None,
        patience: float = PATIENCE,
    ) -> None:
        self._receive = receive
        self._send = send
        self._sends_away = sends_away
        self._abort = abort
        self._patience = patience
        self._begun = asyncio.Event()
        self._ended = False
        self.on_end: Callable[[], object] = lambda: None
        """Called when pod-lifecycle ends it, so that its client reconnects to another pod."""
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
    """A WebSocket, which is closed with 1001 after the settle time."""

    _receiving: anyio.CancelScope | None = None
    _ending: asyncio.Task[None] | None = None
    _sending = 0
    _ends_at = _heard_at = 0.0

    async def run(self, app: App, scope: Scope) -> None:
        """Run the app. If it sends to a WebSocket that was closed here, this is not an error."""
        try:
            with contextlib.suppress(_Gone):
                await self._limited(app(scope, self.receive, self.send))
        finally:
            if self._ending is not None:
                left = self._ends_at + self._patience - asyncio.get_running_loop().time()
                await asyncio.wait({self._ending}, timeout=max(0.0, left))

    async def linger(self) -> None:
        """Wait for a busy client to read its 1001, which does not count as work in flight."""
        if self._ending is not None:
            await asyncio.wait({self._ending})

    async def end_when(self, moment: Callable[[], Awaitable[None]]) -> None:
        """Close it once the given event has happened."""
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
        if self._sends_away():
            await asyncio.sleep(0)
        if self._ended:
            raise _Gone("the WebSocket is closed, because the app is shutting down")
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
    """A response to an EventSource, ended between two events after the settle time."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._one_at_a_time = asyncio.Lock()

    async def run(self, app: App, scope: Scope) -> None:
        """Run the app. The end of its stream cancels it."""
        await self._limited(app(scope, self._receive, self.send))

    async def end_when(self, moment: Callable[[], Awaitable[None]]) -> None:
        """End it once the given event has happened, if the app sends a stream of events."""
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
        if self._sends_away():
            await asyncio.sleep(0)
        async with self._one_at_a_time:
            if self._ended:
                return  # a message of the app to an ended stream is not an error
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

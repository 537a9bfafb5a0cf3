"""
What never ends by itself over ASGI, ended when the settle time is over.

Rules of this file:

1. Only what its client opens again by itself is ended: a WebSocket is closed with 1001,
   "going away"; an EventSource connects again, with the id of the last event it has seen.
2. An EventSource asks with GET and `Accept: text/event-stream`. Any other response, however
   long, is work in flight and is waited for: the answer of a language model that is streamed
   to a POST has an end, and nobody asks for it twice.
3. It is ended between two messages, and the app is told: by a disconnect, by an error where
   it sends, by cancellation.
4. From T0 on every message lets the loop come round: an app that pushes without a pause
   would otherwise leave no moment in which anything could be ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

GOING_AWAY: Final = 1001
EVENTS: Final = b"text/event-stream"
ACCEPTS_EVENTS: Final = (b"accept", EVENTS)


def is_event_source(scope: Scope) -> bool:
    """Tell whether an EventSource asks: it will connect again when its stream has ended."""
    return ACCEPTS_EVENTS in scope["headers"] and scope["method"] == "GET"


class _Gone(OSError):
    """What ASGI raises for a message to a client that is gone."""


class WebSocket:
    """
    One WebSocket: closed with 1001 when the settle time is over.

    Args:
        receive: The server's.
        send: The server's.
        draining: Tells whether T0 has come.
    """

    def __init__(
        self, receive: Receive, send: Send, draining: Callable[[], bool] = lambda: False
    ) -> None:
        self._receive = receive
        self._send = send
        self._draining = draining
        self._accepted = asyncio.Event()
        self._closed = False
        self._receiving: anyio.CancelScope | None = None

    async def run(self, app: App, scope: Scope) -> None:
        """Have the app talk; what it still says to a closed WebSocket is nobody's error."""
        with contextlib.suppress(_Gone):
            await app(scope, self.receive, self.send)

    async def end_when(self, moment: Awaitable[None]) -> None:
        """Close it once the moment has come."""
        await moment
        await self._accepted.wait()
        if not self._closed:
            self._closed = True
            if self._receiving is not None:
                self._receiving.cancel()
            with contextlib.suppress(Exception):  # the client may be gone meanwhile
                await self._send({"type": "websocket.close", "code": GOING_AWAY})

    async def send(self, message: Message) -> None:
        if self._draining():
            await asyncio.sleep(0)
        if self._closed:
            raise _Gone("the WebSocket is closed: the app is leaving")
        if message["type"] == "websocket.close":
            self._closed = True
        await self._send(message)
        if message["type"] == "websocket.accept":
            self._accepted.set()

    async def receive(self) -> Message:
        with anyio.CancelScope() as self._receiving:
            if not self._closed:
                return await self._receive()
        return {"type": "websocket.disconnect", "code": GOING_AWAY}


class EventStream:
    """
    One response to an EventSource: ended between two events when the settle time is over.

    Args:
        receive: The server's.
        send: The server's.
        draining: Tells whether T0 has come.
    """

    def __init__(
        self, receive: Receive, send: Send, draining: Callable[[], bool] = lambda: False
    ) -> None:
        self._receive = receive
        self._send = send
        self._draining = draining
        self._begun = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._ended = False
        self._limit = asyncio.timeout(None)

    async def run(self, app: App, scope: Scope) -> None:
        """Have the app answer; its stream's end cancels it."""
        try:
            async with self._limit:
                await app(scope, self._receive, self.send)
        except TimeoutError:
            if not self._limit.expired():
                raise

    async def end_when(self, moment: Awaitable[None]) -> None:
        """End it once the moment has come, if what the app sends is a stream of events."""
        await moment
        await self._begun.wait()
        async with self._one_at_a_time:
            if self._ended:
                return
            self._ended = True
            with contextlib.suppress(Exception):  # the client may be gone meanwhile
                await self._send({"type": "http.response.body", "body": b""})
        self._limit.reschedule(asyncio.get_running_loop().time())

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
        if starts and _is_events(message):
            self._begun.set()


def _is_events(message: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(EVENTS)
        for name, value in message.get("headers", ())
    )

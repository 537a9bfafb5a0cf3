"""
Hypercorn, behind one file: what one connection of a `Server` speaks.

The private seam is `Connection`, a subclass of hypercorn's TCPServer; a test holds the
versions it was written for. What hypercorn does not offer and this adds: a rank among
connections, an end to an idle one while the listener stays open, GOAWAY on HTTP/2.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import hypercorn.config
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.events import Event as WireEvent
from hypercorn.events import RawData, Updated

from lifecycle.serving.standing import ConnState, Standing
from lifecycle.serving.stream import is_readable

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

UNREAD_LOOKS: Final = 100
UNREAD_PAUSE: Final = 0.01
"""How often, and with which pause, a connection to be closed is left to read what has come."""
HOLD: Final = "lifecycle.hold"
"""The key of a scope under which the app finds how to keep the request's connection."""
ABORT: Final = "lifecycle.abort"
"""The key of a scope under which the app finds how to cut the connection, if it is its own."""
NEW_TIME: Final = 3.0
"""Seconds after which a connection that has not asked yet counts as idle, as in Go's net/http."""

# Stream 0, type 7, "no stream is refused", NO_ERROR: RFC 9113, section 6.8.
GOAWAY: Final = bytes.fromhex("000008 07 00 00000000 7fffffff 00000000")


class Owner(Protocol):
    """What a connection needs of the server that has accepted it."""

    app: App
    draining: bool

    def asked(self, standing: Standing) -> bool:
        """Find room for a connection that has asked; False if there is none."""


class Settings:
    """
    What all connections of one server share.

    Args:
        keep_alive: Seconds a connection may be idle, and a request's header may take.
        state: The lifespan's state, handed to every request.
        logger: Where hypercorn's own complaints go.
    """

    def __init__(
        self, *, keep_alive: float, state: dict[str, Any] | None, logger: logging.Logger
    ) -> None:
        self.state = {} if state is None else state
        self.context = WorkerContext(None)
        self.config = hypercorn.config.Config()
        self.config.keep_alive_timeout = keep_alive
        self.config.include_server_header = False
        self.config.errorlog = logger
        self.config.accesslog = None


class Connection(TCPServer):
    """
    One connection: knows where it stands, and can say that no request should follow.

    Args:
        owner: The server that has accepted it.
        settings: What it has in common with others.
        standing: Where it stands.
        closing: Set once it should close as soon as it is idle.
        reader: What comes.
        writer: What is sent.
    """

    def __init__(
        self,
        owner: Owner,
        settings: Settings,
        standing: Standing,
        closing: asyncio.Event,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        app: Any = self._call
        super().__init__(
            ASGIWrapper(app),
            asyncio.get_running_loop(),
            settings.config,
            settings.context,
            settings.state,
            reader,
            writer,
        )
        self.requests = 0
        self.gone_away = False
        self.standing = standing
        standing.abort = self.abort
        self._owner = owner
        # Hypercorn's own `terminated` would refuse what HTTP/2 clients have already sent, and
        # take the end from a response whose last part is empty.
        self._closing = closing

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._owner.asked(self.standing):
            return
        self.requests += 1
        scope[HOLD] = self._hold
        if self._owner.draining and scope["http_version"] == "2":
            self.go_away()
        self.is_http2 = scope["http_version"] == "2"
        if not self.is_http2:
            scope[ABORT] = self.abort
        if self.idle_task._handle is not None:
            await self.idle_task.stop()
        try:
            await self._owner.app(scope, receive, send)
        finally:
            self.requests -= 1

    is_http2 = False

    def _hold(self) -> None:
        self.standing.become(ConnState.HELD)

    def go_away(self) -> None:
        """Ask an HTTP/2 client to send what is new elsewhere; what it has sent is answered."""
        if not self.gone_away and not self.writer.is_closing():
            self.gone_away = True
            self.writer.write(GOAWAY)

    def abort(self) -> None:
        """Close at once."""
        self.writer.transport.abort()

    async def _read_data(self) -> None:
        await super()._read_data()
        # Hypercorn would keep the tasks of a client that is gone until keep_alive_timeout.
        await self.idle_task.stop()
        # And on HTTP/2 the app would wait for ever until all it has sent has left.
        for buffer in [*self._unsent.values()]:
            await buffer.close()

    @property
    def _unsent(self) -> dict[int, Any]:
        """HTTP/2 streams whose response has not left, be it for the mark of its end."""
        return getattr(self.protocol.protocol, "stream_buffers", {})

    async def protocol_send(self, event: WireEvent) -> None:
        if isinstance(event, Updated):
            active = max(self.standing.state, ConnState.ACTIVE)
            self.standing.become(ConnState.IDLE if event.idle else active)
        if isinstance(event, Updated) and event.idle and self.reader.at_eof():
            return
        await super().protocol_send(event)
        if isinstance(event, RawData) and not self._timed:
            # A preface of HTTP/2, or a refused upgrade: hypercorn has stopped the clock for a
            # request that never came.
            await self.idle_task.restart(self._task_group, self._idle_timeout)

    @property
    def _timed(self) -> bool:
        over = self.reader.at_eof() or self.writer.is_closing()
        return over or self.requests > 0 or self.idle_task._handle is not None

    async def _idle_timeout(self) -> None:
        # Not `wait_for`: on 3.11 it swallows a cancellation that comes with the result.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.config.keep_alive_timeout):
                await self._closing.wait()
                if self.standing.state is ConnState.NEW:
                    # Its request is on the way, as far as anybody can tell.
                    await asyncio.sleep(self.standing.since + NEW_TIME - self.loop.time())
        # Closing over a request that has come meanwhile would reset it; once it is read, it
        # stops this task. From the last look to the close nothing is awaited in earnest.
        for _ in range(UNREAD_LOOKS):
            if not self._unread() and not self._unsent and not self._half_read:
                break
            await asyncio.sleep(UNREAD_PAUSE)
        if self.writer.can_write_eof() and not self.writer.is_closing():
            with contextlib.suppress(OSError):
                self.writer.write_eof()  # now; the close itself comes a turn of the loop later
        await self._initiate_server_close()

    @property
    def _half_read(self) -> bool:
        """True if a kept connection has begun its next request."""
        parser = getattr(self.protocol.protocol, "connection", None)
        begun = bool(getattr(parser, "trailing_data", (b"",))[0])
        return begun and self._closing.is_set() and self.standing.state is ConnState.IDLE

    def _unread(self) -> bool:
        if getattr(self.reader, "_buffer", b""):
            return True
        return not self.reader.at_eof() and is_readable(self.writer.get_extra_info("socket"))

"""
An accepted connection: reading, writing, and when it ends.

Rules of this file:

1. Its state is stored only in its entry of the server's table, and read there.
2. A connection with unread bytes is not closed. It lingers instead.
3. Once its server closes, no request follows the current one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from lifecycle.serving.app_runner import ABORT
from lifecycle.serving.byte_stream import Reader, Writer, is_readable
from lifecycle.serving.closing import Closing
from lifecycle.serving.connection_states import ConnEvent
from lifecycle.serving.connection_table import ConnectionEntry
from lifecycle.serving.hypercorn import (
    Closed,
    RawData,
    Updated,
    WireEvent,
    Worker,
    new_config,
    parse_socket_addr,
)
from lifecycle.serving.idle_timer import IdleTimer
from lifecycle.serving.lingering_close import LingeringClose
from lifecycle.serving.negotiation import Negotiated, load_http2

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_READ: Final = 64 * 1024
"""Bytes to read at once."""
UNREAD_LOOKS: Final = 100
UNREAD_PAUSE: Final = 0.01
"""How often, and with which pause, a closing connection may still read arrived bytes."""
HOLD: Final = "lifecycle.hold"
"""The key in the scope whose value makes the request keep its connection."""
GOING_TIME: Final = 1.0
"""Seconds for an HTTP/2 client to receive the GOAWAY. RFC 9113, section 6.8, explains why."""

# Stream 0, type 7, "no stream is refused", NO_ERROR: RFC 9113, section 6.8.
GOAWAY: Final = bytes.fromhex("000008 07 00 00000000 7fffffff 00000000")


class Owner(Protocol):
    """The part of the server that a connection uses."""

    app: App

    def sends_away(self) -> bool:
        """Return whether an HTTP/2 client gets a GOAWAY with its next request."""

    def asked(self, entry: ConnectionEntry) -> bool:
        """Make room for a connection that has sent a request. Returns False if there is no room."""


class ConnectionSettings:
    """
    The settings of all connections of one server.

    Args:
        keep_alive: Seconds that a connection may be idle, and that a request's header may take.
        state: The state of the lifespan, which every request gets.
        plain: Use HTTP/1.1 only: no HTTP/2, no WebSockets.
        told_to_go: Called for each HTTP/2 connection that gets a GOAWAY.
        logger: The logger for hypercorn's own errors.
    """

    def __init__(
        self,
        *,
        keep_alive: float,
        state: dict[str, Any] | None,
        plain: bool = False,
        told_to_go: Callable[[], object] = lambda: None,
        logger: logging.Logger,
    ) -> None:
        self.plain = plain
        if not plain:
            load_http2()  # now: once a client asks for it, no descriptor may be left to read it by
        self.keep_alive = keep_alive
        self.told_to_go = told_to_go
        self.state = {} if state is None else state
        self.worker = Worker()
        self.config = new_config(keep_alive=keep_alive, logger=logger)


class Connection:
    """
    A connection. It keeps its state, and can announce that no further request is accepted.

    Args:
        owner: The server.
        settings: The settings of all connections.
        entry: The entry in the server's table, with the state.
        closing: Set while it must close as soon as it is idle.
        reader: The incoming bytes.
        writer: The outgoing bytes.
    """

    def __init__(
        self,
        owner: Owner,
        settings: ConnectionSettings,
        entry: ConnectionEntry,
        closing: Closing,
        reader: Reader,
        writer: Writer,
    ) -> None:
        self.entry = entry
        self.requests = 0
        self.is_http2 = False
        self._owner = owner
        self._settings = settings
        self.reader = reader
        self.writer = writer
        self._loop = asyncio.get_running_loop()
        self._going_since: float | None = None
        self._lingering: LingeringClose | None = None
        self._gone = asyncio.Event()
        nobody: Any = None
        self._negotiated: Negotiated = nobody  # until `run`, and from `let_go` on
        self._closing = closing
        self._idle = IdleTimer(settings.keep_alive, entry, closing)
        entry.abort = self.abort

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._lingering is not None or not self._owner.asked(self.entry):
            return  # later bytes have ended the connection, or there is no room
        self.requests += 1
        scope[HOLD] = self._hold
        self.is_http2 = scope["http_version"] == "2"
        if not self.is_http2:
            scope[ABORT] = self.abort
        elif self._owner.sends_away():
            self.go_away()
        if self._idle.running:
            await self._idle.stop()
        try:
            await self._owner.app(scope, receive, send)
        finally:
            self.requests -= 1

    def _hold(self) -> None:
        self.entry.note(ConnEvent.HOLD)

    async def run(self) -> None:
        """Serve until the connection has ended."""
        try:
            socket = self.writer.get_extra_info("socket")
            tls = self.writer.get_extra_info("ssl_object")
            async with asyncio.TaskGroup() as tasks:
                self._negotiated = negotiated = Negotiated(
                    alpn=None if tls is None else tls.selected_alpn_protocol(),
                    plain=self._settings.plain,
                    tasks=tasks,
                    state=self._settings.state,
                    send=self._send,
                    write_now=self._write_now,
                    patience=self.writer.patience,
                    untaken=self.writer.untaken,
                    app=self._call,
                    config=self._settings.config,
                    context=self._settings.worker,
                    ssl=tls is not None,
                    client=parse_socket_addr(socket.family, socket.getpeername()),
                    server=parse_socket_addr(socket.family, socket.getsockname()),
                )
                self._idle.open(tasks)
                try:
                    await negotiated.initiate()
                    await self._idle.restart(self._expire)
                    await self._read(negotiated)
                finally:
                    self._idle.close()
        except OSError:
            return  # the client is already gone
        finally:
            self._say_eof()
            with contextlib.suppress(OSError, RuntimeError):
                self.writer.close()
            await self._idle.stop()

    # Input

    async def _read(self, negotiated: Negotiated) -> None:
        while not self.reader.at_eof():
            try:
                data = await self.reader.read(MAX_READ)
            except OSError:  # TLS's own among them
                break
            if self._lingering is not None:
                self._lingering.throw_away(len(data))
            else:
                await self._handle(negotiated, data)
        self._gone.set()
        # This informs apps, and code that waits until the client has read everything.
        await negotiated.handle(Closed())
        self._idle.close()
        await self._idle.stop()

    async def _handle(self, negotiated: Negotiated, data: bytes) -> None:
        try:
            await negotiated.handle(RawData(data))
        except Exception as error:  # noqa: BLE001 - any error that a client's bytes cause
            logging.getLogger(__name__).debug("a connection ended with an error: %r", error)
            await negotiated.handle(Closed())
            await self._finish()

    def hung_up(self) -> None:
        """Report to the app that its client is gone, even if nothing is being read."""
        if self._negotiated is not None:
            self._negotiated.protocol.hung_up()

    def _unread(self) -> bool:
        if self.reader.unread:
            return True
        return not self.reader.at_eof() and is_readable(self.writer.get_extra_info("socket"))

    # Output

    async def _send(self, event: WireEvent) -> None:
        """Do what the protocol asks for: write, close, or note whether a request is running."""
        # By type: `isinstance` of an abstract class costs more than the rest of this.
        if type(event) is RawData:
            if event.data and self._lingering is None:
                await self._write(event.data)
        elif type(event) is Updated:
            await self._update(idle=event.idle)
        else:
            await self._finish()

    async def _write(self, data: bytes) -> None:
        try:
            if self.writer.is_closing():
                raise ConnectionAbortedError
            self.writer.write(data)
            if self.writer.transport.get_write_buffer_size():
                await self.writer.drain()
        except ConnectionError:
            await self._negotiated.handle(Closed())  # the reading task may wait for the app
            return
        if not self.requests and not self._timed:
            # A preface of HTTP/2, or a refused upgrade: the clock has been stopped for a request
            # that never came.
            await self._idle.restart(self._expire)

    async def _update(self, *, idle: bool) -> None:
        self.entry.note(ConnEvent.ANSWERED if idle else ConnEvent.REQUEST)
        if not idle:
            await self._idle.stop()
        elif self._lingering is None:
            await self._idle.restart(self._expire)

    def _write_now(self, data: bytes) -> None:
        if data and not (self._lingering is not None or self.writer.is_closing()):
            with contextlib.suppress(OSError, RuntimeError):
                self.writer.write(data)

    def _say_eof(self) -> None:
        """Close our direction, which TLS cannot do."""
        if self.writer.can_write_eof() and not self.writer.is_closing():
            with contextlib.suppress(OSError, RuntimeError):
                self.writer.write_eof()

    # How it ends

    @property
    def answered(self) -> bool:
        """True if no app is running, and only clients are waited for."""
        return (
            not self.requests
            and self._negotiated is not None
            and self._negotiated.protocol.answered
        )

    def go_away(self) -> None:
        """Send GOAWAY to an HTTP/2 client. Requests that it has sent are still answered."""
        if self._going_since is None and not self.writer.is_closing():
            self._going_since = self._loop.time()
            self._write_now(GOAWAY)
            self._settings.told_to_go()

    def refuse_more(self) -> None:
        """Refuse requests that an HTTP/2 client sends `GOING_TIME` after the GOAWAY."""
        if self._negotiated is not None and self._going_since is not None:
            self._negotiated.refuse_from(self._going_since + GOING_TIME)

    def close_if_idle(self) -> None:
        """Close at once if no request is running, otherwise after the running one."""
        self._idle.hurry()

    def cut(self) -> bool:
        """Answer each unanswered request with 503, and close. Returns False if there is none."""
        if self._lingering is not None or self.writer.is_closing():
            return False
        if not (last := self._negotiated.protocol.cut()):
            return False
        self._write_now(last)
        self.writer.close()
        return True

    def abort(self) -> None:
        """Close at once."""
        self.writer.transport.abort()

    def let_go(self) -> None:
        """Break reference cycles at the end, so that memory is freed at once."""
        if self._negotiated is not None:
            self._negotiated.let_go()
        nobody: Any = None
        self._negotiated, self._lingering = nobody, None
        if (error := self.reader.exception()) is not None:
            error.with_traceback(None)  # see StreamProtocol.connection_lost
        self.entry.abort = self.writer.transport.abort

    async def _finish(self) -> None:
        """Close. If there are unread bytes, first give the client time to read the response."""
        if self._lingering is not None or self.writer.is_closing():
            return
        self._say_eof()
        if self.reader.at_eof() or not (self._negotiated.protocol.unread or self._unread()):
            self.writer.close()
            return
        self._lingering = LingeringClose(
            self._settings.keep_alive, self._closing, self._gone, self.writer.close, self.abort
        )
        self.entry.note(ConnEvent.CLOSE)
        await self._idle.replace(self._lingering.run)

    @property
    def _busy(self) -> bool:
        """True while a request is answered, or over HTTP/2 not fully received by its client."""
        return self.requests > 0 or bool(self._negotiated.protocol.busy)

    @property
    def _timed(self) -> bool:
        over = self.reader.at_eof() or self.writer.is_closing()
        return over or self._busy or self._idle.running

    async def _expire(self) -> None:
        """Close, because the idle time is over."""
        # A close with an unread request would reset the connection. Once the request is read, it
        # stops this task. Nothing really waits between the last look and the close.
        for _ in range(UNREAD_LOOKS):
            if not self._unread() and not self._busy and not self._half_read:
                break
            await asyncio.sleep(UNREAD_PAUSE)
        if self._busy:
            return  # the idle time starts again after the request
        self._write_now(self._negotiated.protocol.goodbye())
        self._say_eof()  # at once, because the close comes one turn of the loop later
        await self._negotiated.handle(Closed())
        self.writer.close()

    @property
    def _half_read(self) -> bool:
        """True if a part of the next request has arrived on a keep-alive connection."""
        begun = self._negotiated.protocol.half_read
        return begun and self._closing.is_set() and self.entry.rules.kept

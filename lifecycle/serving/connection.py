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
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import MAX_RECV, TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.events import Closed, RawData, Updated
from hypercorn.events import Event as WireEvent
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr

from lifecycle.serving.idle import IdleTimer
from lifecycle.serving.protocol import Spoken, load_http2
from lifecycle.serving.standing import ConnState, Standing
from lifecycle.serving.stream import Writer, is_readable
from lifecycle.serving.tasks import ABORT

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

UNREAD_LOOKS: Final = 100
UNREAD_PAUSE: Final = 0.01
"""How often, and with which pause, a connection to be closed is left to read what has come."""
HOLD: Final = "lifecycle.hold"
"""The key of a scope under which the app finds how to keep the request's connection."""
GOING_TIME: Final = 1.0
"""Seconds that an HTTP/2 client has to hear that it should go: RFC 9113, section 6.8, says why."""
LINGER: Final = 5.0
"""Seconds that a client which goes on sending has to read why its connection ends."""
SILENCE: Final = 1.0
"""And for how long of them it may send nothing."""
LINGER_LAST: Final = 0.5
"""And once the connections are to close."""
LINGER_BYTES: Final = 64 * 1024 * 1024
"""And what it may send meanwhile."""

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
        plain: Speak HTTP/1.1 and nothing else: no HTTP/2, no WebSockets.
        logger: Where hypercorn's own complaints go.
    """

    def __init__(
        self,
        *,
        keep_alive: float,
        state: dict[str, Any] | None,
        plain: bool = False,
        logger: logging.Logger,
    ) -> None:
        self.plain = plain
        if not plain:
            load_http2()  # now: once a client asks for it, no descriptor may be left to read it by
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
        writer: Writer,
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
        self._patience, self._untaken = writer.patience, writer.untaken
        self.requests = 0
        self.is_http2 = False
        self._going_since: float | None = None
        self.standing = standing
        standing.abort = self.abort
        self.lingers = False
        self._lingered = 0
        self._linger_until = 0.0
        self._silence: asyncio.Timeout | None = None
        self._gone = asyncio.Event()
        self._plain = settings.plain
        self._spoken: Spoken | None = None
        self._owner = owner
        # Hypercorn's own `terminated` would refuse what HTTP/2 clients have already sent, and
        # take the end from a response whose last part is empty.
        self._closing = closing
        self._idle = IdleTimer(settings.config.keep_alive_timeout, standing, closing)
        stopped_by_hypercorn: Any = self._idle
        self.idle_task = stopped_by_hypercorn

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.lingers or not self._owner.asked(self.standing):
            return  # what came behind the request has ended the connection; or there is no room
        self.requests += 1
        scope[HOLD] = self._hold
        if self._owner.draining and scope["http_version"] == "2":
            self.go_away()
        self.is_http2 = scope["http_version"] == "2"
        if not self.is_http2:
            scope[ABORT] = self.abort
        if self._idle.running:
            await self._idle.stop()
        try:
            await self._owner.app(scope, receive, send)
        finally:
            self.requests -= 1

    def _hold(self) -> None:
        self.standing.become(ConnState.HELD)

    def go_away(self) -> None:
        """Ask an HTTP/2 client to send what is new elsewhere; what it has sent is answered."""
        if self._going_since is None and not self.writer.is_closing():
            self._going_since = self.loop.time()
            self._blurt(GOAWAY)

    def refuse_more(self) -> None:
        """Refuse what an HTTP/2 client sends `GOING_TIME` after it was asked to go."""
        if self._spoken is not None and self._going_since is not None:
            self._spoken.refuse_from(self._going_since + GOING_TIME)

    def abort(self) -> None:
        """Close at once."""
        self.writer.transport.abort()

    def cut(self) -> bool:
        """Answer a request that has no answer with 503, and close; False if there is none."""
        if self.lingers or self.writer.is_closing() or not (last := self.protocol.protocol.cut()):
            return False
        self._blurt(last)
        self.writer.close()
        return True

    def let_go(self) -> None:
        """Part from those who know this, at its end: in a circle, all would wait for the collector."""
        if self._spoken is not None:
            self._spoken.let_go()
        nobody: Any = None
        self._spoken = self.protocol = self.app = nobody
        if (error := self.reader.exception()) is not None:
            error.with_traceback(None)  # see Protocol.connection_lost
        self.standing.abort = self.writer.transport.abort

    def hurry(self) -> None:
        """Close now if it is idle: it is time."""
        self._idle.hurry()

    def hung_up(self) -> None:
        """Tell an app that its client is gone, also while nothing is read."""
        if self._spoken is not None:
            self._spoken.protocol.hung_up()

    async def run(self) -> None:
        """Serve until the connection has ended."""
        try:
            socket = self.writer.get_extra_info("socket")
            tls = self.writer.get_extra_info("ssl_object")
            async with TaskGroup(self.loop) as self._task_group:
                self._spoken = Spoken(
                    alpn=None if tls is None else tls.selected_alpn_protocol(),
                    plain=self._plain,
                    send=self.protocol_send,
                    blurt=self._blurt,
                    patience=self._patience,
                    untaken=self._untaken,
                    app=self.app,
                    config=self.config,
                    context=self.context,
                    task_group=self._task_group,
                    connection_state=ConnectionState(self.state),
                    ssl=tls is not None,
                    client=parse_socket_addr(socket.family, socket.getpeername()),
                    server=parse_socket_addr(socket.family, socket.getsockname()),
                )
                self.protocol: Any = self._spoken
                self._idle.open(self._task_group._task_group)
                try:
                    await self.protocol.initiate()
                    await self._idle.restart(self._expire)
                    await self._read_data()
                finally:
                    self._idle.close()
        except OSError:
            return  # gone before it had begun
        finally:
            await self._close()

    async def _read_data(self) -> None:
        while not self.reader.at_eof():
            try:
                data = await self.reader.read(MAX_RECV)
            except OSError:  # TLS's own among them
                break
            if self.lingers:
                self._throw_away(len(data))
            else:
                await self._handle(data)
        self._gone.set()
        # Apps learn it here, and who waits until the client has taken what was sent.
        await self.protocol.handle(Closed())
        # Hypercorn would keep the tasks of a client that is gone until keep_alive_timeout.
        self._idle.close()
        await self._idle.stop()

    async def _handle(self, data: bytes) -> None:
        try:
            await self.protocol.handle(RawData(data))
        except Exception as error:  # noqa: BLE001 - whatever a stranger's bytes make anybody raise
            logging.getLogger(__name__).debug("a connection has ended: %r", error)
            await self.protocol.handle(Closed())
            await self._finish()

    @property
    def answered(self) -> bool:
        """True if no app is at work, and a request over HTTP/2 is not over all the same."""
        return not self.requests and self._spoken is not None and self._spoken.protocol.answered

    @property
    def _busy(self) -> bool:
        """True while a request is answered, or over HTTP/2 is not over for its client."""
        return self.requests > 0 or bool(self.protocol.protocol.busy)

    def _blurt(self, data: bytes) -> None:
        if data and not (self.lingers or self.writer.is_closing()):
            with contextlib.suppress(OSError, RuntimeError):
                self.writer.write(data)

    async def _finish(self) -> None:
        """
        Close; over what is unread only once the client has had time to read what was sent.

        A socket that is closed over unread bytes is reset, and what the client has not read
        yet is lost to it: what comes is read and thrown away first, as in nginx.
        """
        if self.lingers or self.writer.is_closing():
            return
        if self.writer.can_write_eof():
            with contextlib.suppress(OSError, RuntimeError):
                self.writer.write_eof()
        if self.reader.at_eof() or not (self.protocol.protocol.unread or self._unread()):
            self.writer.close()
            return
        self.lingers = True
        self.standing.become(ConnState.CLOSED)
        await self._idle.replace(self._linger)

    async def _linger(self) -> None:
        self._linger_until = self.loop.time() + min(LINGER, self.config.keep_alive_timeout)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SILENCE) as self._silence:
                await self._closing.wait()
        self._silence = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_LAST if self._closing.is_set() else 0):
                await self._gone.wait()
        self.writer.close()  # what it is still taking is still sent, as anywhere else

    def _throw_away(self, size: int) -> None:
        self._lingered += size
        if self._lingered > LINGER_BYTES:
            self.abort()
        if self._silence is not None and not self._silence.expired():
            self._silence.reschedule(min(self._linger_until, self.loop.time() + SILENCE))

    async def protocol_send(self, event: WireEvent) -> None:
        """Do what the protocol asks for: write, close, note whether anything is under way."""
        # By type: `isinstance` of an abstract class costs more than the rest of this.
        if type(event) is RawData:
            if event.data and not self.lingers:
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
            await self.protocol.handle(Closed())  # whoever reads may be waiting for the app
            return
        if not self.requests and not self._timed:
            # A preface of HTTP/2, or a refused upgrade: the clock has been stopped for a request
            # that never came.
            await self._idle.restart(self._expire)

    async def _update(self, *, idle: bool) -> None:
        active = max(self.standing.state, ConnState.ACTIVE)
        self.standing.become(ConnState.IDLE if idle else active)
        if not idle:
            await self._idle.stop()
        elif not self.lingers:
            await self._idle.restart(self._expire)

    @property
    def _timed(self) -> bool:
        over = self.reader.at_eof() or self.writer.is_closing()
        return over or self._busy or self._idle.running

    async def _expire(self) -> None:
        # Closing over a request that has come meanwhile would reset it; once it is read, it
        # stops this task. From the last look to the close nothing is awaited in earnest.
        for _ in range(UNREAD_LOOKS):
            if not self._unread() and not self._busy and not self._half_read:
                break
            await asyncio.sleep(UNREAD_PAUSE)
        if self._busy:
            return  # the time begins anew when it is over
        self._blurt(self.protocol.protocol.goodbye())
        if self.writer.can_write_eof() and not self.writer.is_closing():
            with contextlib.suppress(OSError):
                self.writer.write_eof()  # now; the close itself comes a turn of the loop later
        await self._initiate_server_close()

    @property
    def _half_read(self) -> bool:
        """True if a kept connection has begun its next request."""
        begun = self.protocol.protocol.half_read
        return begun and self._closing.is_set() and self.standing.state is ConnState.IDLE

    def _unread(self) -> bool:
        if getattr(self.reader, "_buffer", b""):
            return True
        return not self.reader.at_eof() and is_readable(self.writer.get_extra_info("socket"))

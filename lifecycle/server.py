"""
Hypercorn, behind one module: it serves an ASGI app on sockets that are already bound.

The private seam is `_Connection`, a subclass of hypercorn's TCPServer; a test holds
the versions it was written for. What hypercorn does not offer and this adds: a cap on
connections, an end to idle connections while the listener stays open, GOAWAY on
HTTP/2, an end of its own that does not depend on the Python version.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import select
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import hypercorn.config
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.events import Event as WireEvent
from hypercorn.events import RawData, Updated

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Admit = Callable[[socket.socket], bool]

LATE: Final = 0.25
"""Seconds in which who connected at the last moment must have sent a request."""
UNREAD_LOOKS: Final = 100
UNREAD_PAUSE: Final = 0.01
"""How often, and with which pause, a connection to be closed is left to read what has come."""
BATCH: Final = 16
"""Connections accepted at one wake-up of the loop."""
ACCEPT_PAUSE: Final = 0.1
"""Seconds until the next try when the process has no descriptor left."""
NO_DESCRIPTOR: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

HOLD: Final = "lifecycle.hold"
"""The key of a scope under which the app finds how to keep the request's connection."""
ABORT: Final = "lifecycle.abort"
"""The key of a scope under which the app finds how to cut the connection, if it is its own."""
HELD: Final = 4
"""What such a connection is worth."""

# Stream 0, type 7, "no stream is refused", NO_ERROR: RFC 9113, section 6.8.
GOAWAY: Final = bytes.fromhex("000008 07 00 00000000 7fffffff 00000000")


class _Connection(TCPServer):
    """One connection: knows whether it is idle, and can say that no request should follow."""

    def __init__(self, server: Server, *arguments: Any) -> None:
        app: Any = self._call
        super().__init__(ASGIWrapper(app), *arguments)
        self.requests = 0
        self.held = False
        self.has_served = False
        self.gone_away = False
        self._server = server
        # Hypercorn's own `terminated` would refuse what HTTP/2 clients have already sent, and
        # take the end from a response whose last part is empty.
        self._closing = server.closing

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests += 1
        scope[HOLD] = self._hold
        if self._server.draining and scope["http_version"] == "2":
            self.go_away()
        self.is_http2 = scope["http_version"] == "2"
        if not self.is_http2:
            scope[ABORT] = self.abort
        if self.idle_task._handle is not None:
            await self.idle_task.stop()
        try:
            await self._server.app(scope, receive, send)
        finally:
            self.requests -= 1
            self.has_served = True
            self.held = self.held and self.requests > 0
            self._server.used(self)

    is_http2 = False

    def _hold(self) -> None:
        self.held = True

    @property
    def worth(self) -> int:
        """What would be lost, by rank: what is closing, idle, unsent, being answered, held."""
        if self.writer.is_closing():
            return 0
        return HELD if self.held else 3 if self.requests else 1 if self.has_served else 2

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
        # Closing over a request that has come meanwhile would reset it; once it is read, it
        # stops this task. From the last look to the close nothing is awaited in earnest.
        for _ in range(UNREAD_LOOKS):
            if not self._unread() and not self._unsent:
                break
            await asyncio.sleep(UNREAD_PAUSE)
        if self.writer.can_write_eof() and not self.writer.is_closing():
            with contextlib.suppress(OSError):
                self.writer.write_eof()  # now; the close itself comes a turn of the loop later
        await self._initiate_server_close()

    def _unread(self) -> bool:
        if getattr(self.reader, "_buffer", b""):
            return True
        descriptor = self.writer.get_extra_info("socket").fileno()
        if descriptor == -1 or self.reader.at_eof():
            return False
        look = select.poll()
        look.register(descriptor, select.POLLIN)
        return bool(look.poll(0))


class Server:
    """
    Serves one app on the running loop, until `close`.

    Args:
        app: The ASGI app; lifespan is not its business here.
        keep_alive: Seconds a connection may be idle, and a request's header may take.
        cap: Connections at a time; for the next one, one makes room that is idle, or else
            has not sent its request, or else is being answered: of these the oldest. Whose
            app has called `scope[HOLD]()` keeps its place until it is answered: if all
            do, the next one is refused. None: any.
        admit: Looks at an accepted socket; False closes it.
        state: The lifespan's state, handed to every request.
        tls: For HTTPS.
        logger: Where hypercorn's own complaints go.
    """

    def __init__(
        self,
        app: App,
        *,
        keep_alive: float,
        cap: int | None = None,
        admit: Admit = lambda _: True,
        state: dict[str, Any] | None = None,
        tls: ssl.SSLContext | None = None,
        logger: logging.Logger,
    ) -> None:
        self.app = app
        self.draining = False
        self._cap = cap
        self._admit = admit
        self._tls = tls
        self._state = {} if state is None else state
        self._config = hypercorn.config.Config()
        self._config.keep_alive_timeout = keep_alive
        self._config.include_server_header = False
        self._config.errorlog = self._logger = logger
        self._config.accesslog = None
        self.closing = asyncio.Event()
        self._context = WorkerContext(None)
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._connections: dict[_Connection, None] = {}  # in the order of their last use
        self._arriving = 0  # accepted, and not among them yet
        self._tasks: set[asyncio.Task[None]] = set()
        self._pauses: set[asyncio.TimerHandle] = set()

    def listen(self, sockets: Iterable[socket.socket], backlog: int = 1024) -> None:
        """Begin to accept on bound sockets; they are this server's from now on."""
        for sock in sockets:
            sock.setblocking(False)
            sock.listen(backlog)
            self._sockets.append(sock)
            self._loop.add_reader(sock, self._accept, sock)

    def _accept(self, sock: socket.socket) -> None:
        for _ in range(BATCH):
            try:
                accepted, _ = sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in NO_DESCRIPTOR:
                    self._make_room()
                    self._pause(sock)
                return
            if not self._admit(accepted):
                accepted.close()
                continue
            taken = len(self._connections) + self._arriving
            full = self._cap is not None and taken >= self._cap
            if full and not self._make_room():
                accepted.close()
                continue
            accepted.setblocking(False)
            self._arriving += 1
            task = self._loop.create_task(self._serve(accepted))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _pause(self, sock: socket.socket) -> None:
        self._loop.remove_reader(sock)

        def resume() -> None:
            self._pauses.discard(handle)
            if sock in self._sockets:
                self._loop.add_reader(sock, self._accept, sock)

        handle = self._loop.call_later(ACCEPT_PAUSE, resume)
        self._pauses.add(handle)

    def used(self, connection: _Connection) -> None:
        """Note that a connection has just served: it makes room last."""
        if connection in self._connections:
            self._connections[connection] = self._connections.pop(connection)

    def _make_room(self) -> bool:
        least = min(self._connections, key=lambda each: each.worth, default=None)  # the oldest
        if least is None or least.worth == HELD:
            return least is None
        del self._connections[least]
        least.abort()
        return True

    async def _serve(self, accepted: socket.socket) -> None:
        reader = asyncio.StreamReader(loop=self._loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self._loop)
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: protocol, accepted, ssl=self._tls
            )
        except (OSError, ssl.SSLError):
            accepted.close()
            return
        finally:
            self._arriving -= 1
        writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
        connection = _Connection(
            self, self._loop, self._config, self._context, self._state, reader, writer
        )
        self._connections[connection] = None
        try:
            await connection
        except Exception:
            self._logger.debug("a connection has ended badly", exc_info=True)
        finally:
            self._connections.pop(connection, None)

    def go_away(self) -> None:
        """From now on, tell every HTTP/2 client to send what is new elsewhere."""
        self.draining = True
        for connection in self._connections:
            if connection.is_http2:
                connection.go_away()

    async def close_idle(self) -> None:
        """Close idle connections, and the others after their response; go on accepting."""
        before, self.closing = self.closing, asyncio.Event()
        before.set()

    def stop_listening(self) -> None:
        """Accept what has come already, and nothing more."""
        for handle in self._pauses:
            handle.cancel()
        for sock in self._sockets:
            self._loop.remove_reader(sock)
            # Who is in the queue of a listener that closes would be reset.
            self._accept(sock)
            sock.close()
        self._sockets.clear()

    async def close(self, timeout: float) -> None:
        """Stop: requests under way have `timeout` seconds, then connections are cut."""
        await self.close_idle()
        before = set(self._tasks)
        self.stop_listening()
        if late := self._tasks - before:
            await asyncio.wait(late, timeout=min(LATE, timeout))
        await self.close_idle()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)
        for connection in list(self._connections):
            connection.abort()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=0.05)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=0.05)
        for task in self._tasks:
            if task.done() and not task.cancelled():
                with contextlib.suppress(Exception):
                    task.result()

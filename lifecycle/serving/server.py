"""
The server on hypercorn, which accepts connections for one ASGI app, on bound sockets.

This server adds features that hypercorn does not have. It limits the number of connections, and
closes idle connections while the listener stays open. Its shutdown is the same on every Python.

Rules of this file:

1. Every accepted connection is in the table until its socket is closed, even during a handshake.
2. Connections without a request, and answered ones, are cut before they could delay the end.
3. When a listener closes, clients in its queue are accepted and served first. If there is no file
   descriptor until the end, they are counted and reported.
4. A forked child inherits none of this. Its copies of the sockets would continue to accept
   clients, and keep them waiting, after this process has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import socket
import ssl
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from lifecycle.process_globals import PROCESS
from lifecycle.serving.asgi_servers import (
    CLEAR_TIME,
    CUT_TIME,
    TAKING_TIME,
    ServerKind,
    ServerSettings,
)
from lifecycle.serving.byte_stream import Reader, StreamProtocol, Writer, has_sent
from lifecycle.serving.closing import Closing
from lifecycle.serving.connection import App, Connection, ConnectionSettings
from lifecycle.serving.connection_cap import ConnectionCap
from lifecycle.serving.connection_states import ConnEvent
from lifecycle.serving.connection_table import ConnectionEntry, ConnectionTable
from lifecycle.serving.first_byte import FirstBytes, any_byte
from lifecycle.serving.listeners import BACKLOG, Listeners
from lifecycle.serving.sockets import peer_of

if TYPE_CHECKING:
    from lifecycle.serving.tls.transport import Tls

Admit = Callable[[socket.socket], bool]

PATIENCE: Final = 60.0
"""Seconds within which a client must accept some of its response."""
CUT_EACH: Final = 0.001
"""Additional seconds to `CUT_TIME` for each connection, for many connections on a slow machine."""


class Server:
    """
    Serves one app on the running loop, until `close`.

    Args:
        app: The ASGI app. The lifespan is not handled here.
        keep_alive: Seconds that a connection may be idle, and that a request's header may take.
        cap: The maximum number of connections, or None for no limit. At the limit, a new connection
            replaces an old one of the address with the most. The first choice is an idle one, then
            one that has not sent its request. Once the new one has sent its own request, it may
            also replace one that is being answered. Within each group, the oldest is replaced. A
            connection whose app has called `scope[HOLD]()` keeps its place until it is answered.
            If all do, the new one is refused.
        admit: Called with an accepted socket. If it returns False, the socket is closed.
        state: The state of the lifespan, which every request gets.
        tls: The TLS context for HTTPS, or None for plain HTTP.
        patience: Seconds within which a client must accept some of its response.
        plain: Use HTTP/1.1 only: no HTTP/2, no WebSockets.
        lost: Called at the end with the number of clients that were reset in a listener's queue,
            because the process had no file descriptor left. Not called if there were none.
        told_to_go: Called for each HTTP/2 connection that gets a GOAWAY.
        sends_away: Returns whether `go_away` still holds.
        ends_idle: Returns whether `close_idle` still holds. At the end, it always does.
        logger: The logger for hypercorn's own errors.
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
        patience: float = PATIENCE,
        plain: bool = False,
        lost: Callable[[int], object] = lambda _: None,
        told_to_go: Callable[[], object] = lambda: None,
        sends_away: Callable[[], bool] = lambda: True,
        ends_idle: Callable[[], bool] = lambda: True,
        logger: logging.Logger,
    ) -> None:
        self.app = app
        self._going = False
        self._sends_away = sends_away
        self._ends_idle = ends_idle
        self._admit = admit
        self._tls = None if tls is None else _over(tls)
        self._patience = patience
        self._logger = logger
        self._settings = ConnectionSettings(
            keep_alive=keep_alive,
            state=state,
            plain=plain,
            told_to_go=told_to_go,
            logger=logger,
        )
        self._closing = Closing(self._closes)
        self._loop = asyncio.get_running_loop()
        self._tell_lost = lost
        self._changed = asyncio.Event()
        self._table = ConnectionTable(self._loop.time)
        self._cap = ConnectionCap(self._table, cap)
        self._listeners = Listeners(self._take, self._cap.make_room, self._changed.set)
        self._accepted: WeakSet[socket.socket] = WeakSet()
        self._first_bytes = FirstBytes(keep_alive, begin=self._begin, lost=self._lost)
        self._connections: set[Connection] = set()
        self._tasks: dict[ConnectionEntry, asyncio.Task[None]] = {}

    def listen(self, sockets: Iterable[socket.socket], backlog: int = BACKLOG) -> None:
        """Start to accept on bound sockets. The server owns them from now on."""
        PROCESS.let_child_forget(self._let_child_go)
        self._listeners.open(sockets, backlog)

    # Accepting

    def _take(self, accepted: socket.socket) -> bool:
        address = peer_of(accepted)
        closing = self._listeners.closing
        if not self._admit(accepted) or not (closing or self._cap.has_room(address)):
            accepted.close()
            return False
        accepted.setblocking(False)
        self._accepted.add(accepted)
        entry = self._table.add(address)
        look = any_byte
        if self._tls is None:  # a handshake is nothing that was asked for
            entry.unread = partial(has_sent, accepted)
        elif accepted.family != socket.AF_UNIX:  # it cannot wait for so many bytes
            look = self._tls.client_hello(accepted)
        self._first_bytes.wait(accepted, entry, look, self._closing)
        return True

    def _begin(self, accepted: socket.socket, entry: ConnectionEntry, closing: Closing) -> None:
        task = self._loop.create_task(self._serve(accepted, entry, closing))
        entry.abort = task.cancel
        self._tasks[entry] = task
        task.add_done_callback(partial(self._served, accepted, entry))

    def asked(self, entry: ConnectionEntry) -> bool:
        """Make room for a connection that has sent a request. If there is none, cut it: False."""
        return self._listeners.closing or self._cap.has_room_to_ask(entry)

    def _let_child_go(self) -> None:
        # Not `remove_reader`: the selector may be one with the parent's.
        # Not `close`: a loop may hold it open, and the file of a Unix socket is the parent's.
        for each in (*self._listeners, *self._accepted):
            with contextlib.suppress(OSError):  # it is closed already
                os.close(each.detach())

    # One connection

    async def _serve(
        self, accepted: socket.socket, entry: ConnectionEntry, closing: Closing
    ) -> None:
        reader = Reader(loop=self._loop)
        protocol = StreamProtocol(reader, self._loop)
        protocol.when_lost.append(partial(self._lost, entry))
        try:
            latest = entry.idle_from if closing.is_set() else math.inf
            transport = await self._connect(accepted, protocol, entry, latest)
        except (OSError, TimeoutError) as failed:  # ssl's errors are OSErrors
            # asyncio's frames hold the error that holds them, and a quarter of a megabyte.
            failed.with_traceback(None)
            accepted.close()
            self._lost(entry)
            return
        gone = partial(entry.note, ConnEvent.CLOSE)
        writer = Writer(transport, protocol, reader, patience=self._patience, closing=gone)
        connection = Connection(self, self._settings, entry, closing, reader, writer)
        protocol.when_over = connection.hung_up
        self._connections.add(connection)
        in_the_kernel = entry.unread
        entry.unread = lambda: reader.unread > 0 or in_the_kernel()
        try:
            await connection.run()
        except Exception:
            self._logger.debug("a connection ended with an error", exc_info=True)
        finally:
            self._connections.discard(connection)
            entry.unread = in_the_kernel
            writer.close()
            connection.let_go()
            protocol.when_over = lambda: None

    async def _connect(
        self,
        accepted: socket.socket,
        protocol: StreamProtocol,
        entry: ConnectionEntry,
        latest: float,
    ) -> asyncio.Transport:
        if self._tls is None:
            return (await self._loop.connect_accepted_socket(lambda: protocol, accepted))[0]
        return await self._tls.connect(accepted, protocol, entry, latest)

    def _lost(self, entry: ConnectionEntry) -> None:
        self._table.remove(entry)
        self._changed.set()
        self._listeners.descriptor_freed()

    def _served(
        self, accepted: socket.socket, entry: ConnectionEntry, task: asyncio.Task[None]
    ) -> None:
        self._tasks.pop(entry, None)
        self._changed.set()
        if task.cancelled() or task.exception() is not None:  # perhaps before it began
            accepted.close()
            self._table.remove(entry)

    def sends_away(self) -> bool:
        """Return whether an HTTP/2 client gets a GOAWAY with its next request."""
        return self._going and self._sends_away()

    # The end

    @property
    def connections(self) -> int:
        """The number of connections. Any thread."""
        return len(self._table)

    def go_away(self) -> None:
        """Send GOAWAY to every HTTP/2 client while `sends_away`, so that new requests go elsewhere."""
        self._going = True
        for connection in self._connections:
            if connection.is_http2:
                connection.go_away()

    def _closes(self) -> bool:
        return self._listeners.closing or self._ends_idle()

    async def close_idle(self) -> None:
        """
        Close idle connections, and the others after their response. Continue to accept new ones.

        A connection without a request, or whose answer has just ended, is not idle at first: see
        `ConnectionEntry.idle_from`. If `ends_idle` returns False again, the connections that are
        left may stay.
        """
        before, self._closing = self._closing, Closing(self._closes)
        before.set()
        for connection in self._connections:
            connection.close_if_idle()
        if self._tls is not None:
            self._tls.hurry()
        self._first_bytes.hurry()

    def stop_listening(self) -> int:
        """
        Accept the connections that have already arrived, and no others.

        If there is no file descriptor for a client, it is accepted when another connection ends,
        until `close` is over.

        Returns:
            The number of connections that had arrived and are accepted now.
        """
        self._listeners.stop()
        return self._listeners.late

    async def close(self, timeout: float, taking: float = math.inf) -> None:
        """
        Stop within `timeout` seconds and a tenth of a second more, whatever the clients do.

        Args:
            timeout: Seconds for running requests, and at most for clients that have connected and
                may still send a request. After that, connections are cut.
            taking: Seconds of these for clients to read responses whose app has finished.
        """
        try:
            await self._close(timeout, max(taking, TAKING_TIME))
        finally:
            PROCESS.keep(self._let_child_go)
            if lost := self._listeners.close():
                self._tell_lost(lost)

    async def _close(self, timeout: float, taking: float) -> None:
        began = self._loop.time()
        deadline = began + timeout
        self.stop_listening()
        self._table.ends = True
        await self.close_idle()
        self._closing.set()  # for those too that are accepted yet
        for connection in self._connections:
            connection.refuse_more()
        cut_time = max(CUT_TIME, CUT_EACH * len(self._table))
        early = deadline - min(cut_time, timeout / 2)
        await self._empty(min(early, began + taking))
        answered = {each.entry for each in self._connections if each.answered}
        for entry in self._table:
            if entry.rules.over or entry in answered:
                entry.abort()
        await self._empty(early)
        self._listeners.give_up()
        self._cut_unasked()
        await self._empty(deadline)
        answered = {each.entry for each in [*self._connections] if each.cut()}
        for entry in self._table:
            if entry not in answered:
                entry.abort()
        await self._empty(self._loop.time() + CLEAR_TIME)
        for task in self._tasks.values():
            task.cancel()
        await self._empty(self._loop.time() + CLEAR_TIME)

    def _cut_unasked(self) -> None:
        """Cut connections without a request, without waiting until all of them are cleaned up."""
        for entry in self._table:
            if entry.rules.waits:
                self._tasks.pop(entry, None)
                self._cap.cut(entry)

    async def _empty(self, until: float) -> None:
        """Wait until nothing is left, or until a time; without a turn of the loop if it is over."""
        if until <= self._loop.time():
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                while self._tasks or len(self._table) or self._listeners.waiting:
                    self._changed.clear()
                    await self._changed.wait()


def _over(context: ssl.SSLContext) -> Tls:
    from lifecycle.serving.tls.transport import Tls  # the QOS port never pays for it

    return Tls(context)


def _of_an_app(app: App, settings: ServerSettings) -> Server:
    return Server(
        app,
        keep_alive=settings.keep_alive,
        state=settings.state,
        tls=settings.tls,
        lost=settings.lost,
        told_to_go=settings.told_to_go,
        sends_away=settings.sends_away,
        ends_idle=settings.ends_idle,
        logger=logging.getLogger("hypercorn.error"),
    )


KIND: Final = ServerKind(make=_of_an_app, alpn=("h2", "http/1.1"))
"""The description of this server for `run --asgi`."""

"""
The server on uvicorn: uvicorn's protocols, on connections that are accepted here.

uvicorn handles HTTP/1.1 and WebSockets, with httptools if it is installed. Its own `Server.serve`
is not used. That function handles signals and the lifespan itself, closes its listener while
clients wait in the queue, and decides itself when to end.

Rules of this file:

1. Everything that is used of uvicorn is in `Seam`.
2. A connection is idle if it was answered, waits for its next request, and has no unread bytes.
   uvicorn's idle timer runs then, and only then. A connection without a request becomes idle
   after some time.
3. After the drain start, uvicorn closes a connection because of the header `Connection: close` from
   the app. This file does not decide that a second time.
4. When a listener closes, clients in its queue are accepted and served first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import socket
from collections.abc import Callable, Iterable
from functools import partial
from types import MethodType
from typing import Any, Final
from weakref import WeakSet

from lifecycle.links import help_page
from lifecycle.process_globals import PROCESS
from lifecycle.serving.app_runner import ABORT
from lifecycle.serving.asgi_servers import (
    CLEAR_TIME,
    CUT_TIME,
    TAKING_TIME,
    ServerKind,
    ServerSettings,
)
from lifecycle.serving.byte_stream import GOODBYE, is_readable, untaken
from lifecycle.serving.connection_states import NEW_TIME, REUSE_TIME
from lifecycle.serving.listeners import BACKLOG, Listeners
from lifecycle.serving.uvicorn_protocols import LOG, Seam

ONCE_IDLE: Final = 1.1 * REUSE_TIME
"""Seconds after an answer at which its connection is certainly idle. A loop's clock may be coarse."""
DATE_TIME: Final = 1.0
"""Seconds for which the Date header of a response is valid."""


class UvicornServer:
    """
    Serves one app on the running loop, until `close`.

    Args:
        app: The ASGI app. The lifespan is not handled here.
        settings: The settings of every server.
        options: More arguments of `uvicorn.Config`.
    """

    def __init__(self, app: Any, settings: ServerSettings, **options: Any) -> None:
        self._app = app
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._since: dict[Any, float] = {}
        self._settled = False
        self._seam = Seam(
            self._call,
            keep_alive=settings.keep_alive,
            came=self._came,
            gone=self._gone,
            **options,
        )
        self._listeners = Listeners(self._take, self._make_room, self._changed.set)
        self._accepted: WeakSet[socket.socket] = WeakSet()
        self._connecting: dict[asyncio.Task[None], float] = {}
        self._dating: asyncio.Task[None] | None = None

    def _call(self, scope: Any, receive: Any, send: Any) -> Any:
        scope[ABORT] = MethodType(_abort, receive)
        return self._app(scope, receive, send)

    def listen(self, sockets: Iterable[socket.socket]) -> None:
        """Start to accept on bound sockets. The server owns them from now on."""
        PROCESS.let_child_forget(self._let_child_go)
        self._dating = self._loop.create_task(self._keep_date())
        self._listeners.open(sockets, BACKLOG)

    async def _keep_date(self) -> None:
        while True:
            await self._seam.set_date()
            await asyncio.sleep(DATE_TIME)

    def _let_child_go(self) -> None:
        for each in (*self._listeners, *self._accepted):
            with contextlib.suppress(OSError):  # it is closed already
                os.close(each.detach())

    # Accepting

    def _take(self, accepted: socket.socket) -> bool:
        accepted.setblocking(False)
        self._accepted.add(accepted)
        task = self._loop.create_task(self._connect(accepted))
        self._connecting[task] = self._loop.time()
        if self._closes():
            self._loop.call_later(NEW_TIME, self._cancel_if_late, task)
        task.add_done_callback(partial(self._connected, accepted))
        return True

    async def _connect(self, accepted: socket.socket) -> None:
        tls = self._settings.tls
        within = {} if tls is None else {"ssl_handshake_timeout": self._settings.keep_alive}
        protocol = partial(self._seam.protocol, self._settings.state, self._loop)
        with contextlib.suppress(OSError):  # ssl's errors are OSErrors
            await self._loop.connect_accepted_socket(protocol, accepted, ssl=tls, **within)
            return
        accepted.close()

    def _connected(self, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        del self._connecting[task]
        if task.cancelled():
            accepted.close()
        elif (error := task.exception()) is not None:
            accepted.close()
            see = help_page("connection-not-served")
            LOG.error("a connection could not be served. See %s", see, exc_info=error)
        self._changed.set()
        self._listeners.descriptor_freed()

    def _make_room(self) -> bool:
        """Close the oldest idle connection, or False if there is none."""
        found = next(filter(self._seam.is_idle, self._since), None)
        return found is not None and self._close_if_idle(found)

    def _came(self, protocol: Any) -> None:
        self._since[protocol] = self._loop.time()
        if self._closes():
            self._loop.call_later(NEW_TIME, self._close_late, protocol)

    def _gone(self, protocol: Any) -> None:
        self._since.pop(protocol, None)
        self._changed.set()
        self._listeners.descriptor_freed()

    # The end

    @property
    def connections(self) -> int:
        """The number of connections. Any thread."""
        return len(self._seam.connections) + len(self._connecting)

    def go_away(self) -> None:
        """Do nothing, because uvicorn has no HTTP/2."""

    async def close_idle(self) -> None:
        """
        Close idle connections while `ends_idle`, and continue to accept new ones.

        A connection without a request is idle at the age of `NEW_TIME`, an answered one after
        `REUSE_TIME`.
        """
        self._settled = True
        now = self._loop.time()
        self._close_all_idle()
        self._loop.call_later(ONCE_IDLE, self._close_all_idle)
        for protocol, since in [*self._since.items()]:
            if self._seam.is_new(protocol):
                self._loop.call_at(max(now, since + NEW_TIME), self._close_late, protocol)
        for connecting, since in self._connecting.items():
            self._loop.call_at(max(now, since + NEW_TIME), self._cancel_if_late, connecting)
        # Later responses say "close" themselves. These may have announced keep-alive.
        for task in self._seam.tasks:
            task.add_done_callback(self._close_soon)

    def _closes(self) -> bool:
        return self._settled and (self._listeners.closing or self._settings.ends_idle())

    def _close_soon(self, _: object) -> None:
        self._loop.call_later(0.0 if self._listeners.closing else ONCE_IDLE, self._close_all_idle)

    def _cancel_if_late(self, connecting: asyncio.Task[None]) -> None:
        if self._closes():
            connecting.cancel()

    def _close_all_idle(self) -> None:
        for protocol in [*self._since]:
            self._close_late(protocol)

    def _close_late(self, protocol: Any) -> None:
        # It may have been taken back meanwhile.
        if self._closes() and not self._may_ask_again(protocol):
            self._close_if_idle(protocol)

    def _may_ask_again(self, protocol: Any) -> bool:
        """Return whether its next request may be on its way, as its answer has just ended."""
        if self._listeners.closing or not self._seam.is_idle(protocol):
            return False
        return self._loop.time() < self._seam.idle_since(protocol) + REUSE_TIME

    def _close_if_idle(self, protocol: Any) -> bool:
        transport = self._seam.transport(protocol)
        if protocol not in self._since or transport.is_closing() or not self._is_idle(protocol):
            return False
        if is_readable(transport.get_extra_info("socket")):
            return False
        protocol.shutdown()
        return True

    def _is_idle(self, protocol: Any) -> bool:
        if self._seam.is_new(protocol):
            return self._loop.time() >= self._since[protocol] + NEW_TIME
        return self._seam.is_idle(protocol)

    def stop_listening(self) -> int:
        """Accept the connections that have arrived, and no others. Returns their number."""
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
        # Uvicorn would show an app that is cancelled, by whomever, as an error of the app's.
        LOG.addFilter(_is_no_cancellation)
        try:
            await self._close(timeout, max(taking, TAKING_TIME))
        finally:
            PROCESS.keep(self._let_child_go)
            if self._dating is not None:
                self._dating.cancel()
            if lost := self._listeners.close():
                self._settings.lost(lost)

    async def _close(self, timeout: float, taking: float) -> None:
        began = self._loop.time()
        deadline = began + timeout
        early = deadline - min(CUT_TIME, timeout / 2)
        self.stop_listening()
        await self.close_idle()
        hurrying = self._loop.call_later(NEW_TIME, self._close_waiting)
        await self._empty(min(early, began + taking))
        self._cut(self._is_over)
        await self._empty(early)
        self._listeners.give_up()
        for connecting in self._connecting:
            connecting.cancel()
        self._cut(lambda protocol: not self._is_busy(protocol))
        # A little later, after the drain has noted what it cuts off.
        await self._empty(deadline + CLEAR_TIME)
        hurrying.cancel()
        for task in self._seam.tasks:
            task.cancel()
        await self._empty(self._loop.time() + CLEAR_TIME)
        self._cut(lambda _: True)
        await self._empty(self._loop.time() + CLEAR_TIME)

    def _is_over(self, protocol: Any) -> bool:
        """Return whether only its last bytes, or its client's close, are missing."""
        if self._seam.transport(protocol).is_closing():
            return True
        return not self._seam.is_http(protocol) and not self._seam.tasks

    def _is_busy(self, protocol: Any) -> bool:
        """Return whether a request on it is being answered."""
        return not self._seam.is_waiting(protocol) and not self._is_over(protocol)

    def _close_waiting(self) -> None:
        """Close connections that were answered, and have sent only a part of the next request."""
        for protocol in filter(self._seam.is_waiting, [*self._since]):
            if not is_readable(self._seam.transport(protocol).get_extra_info("socket")):
                protocol.shutdown()

    def _cut(self, which: Callable[[Any], bool]) -> None:
        for protocol in filter(which, [*self._since]):
            self._seam.transport(protocol).abort()

    async def _empty(self, until: float) -> None:
        """Wait until nothing is left, or until a time; without a turn of the loop if it is over."""
        seen: dict[Any, float] = {}
        while (now := self._loop.time()) < until and self._is_left():
            for protocol in filter(self._is_over, [*self._since]):
                if now - seen.setdefault(protocol, now) >= GOODBYE:
                    self._end_if_taken(protocol)
            self._changed.clear()
            await self._wait(min(until, now + GOODBYE if seen else until))

    def _is_left(self) -> bool:
        return bool(self._since or self._connecting or self._seam.tasks or self._listeners.waiting)

    def _end_if_taken(self, protocol: Any) -> None:
        """Close a connection whose client has received everything, but does not close its side."""
        transport = self._seam.transport(protocol)
        if not any(untaken(transport)):
            transport.abort()

    async def _wait(self, until: float) -> None:
        changing = self._loop.create_task(self._changed.wait())
        first = {changing, *self._seam.tasks}
        await asyncio.wait(
            first, timeout=until - self._loop.time(), return_when=asyncio.FIRST_COMPLETED
        )
        changing.cancel()


def _abort(receive: Any) -> None:
    Seam.transport_of(receive).abort()


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


KIND: Final = ServerKind(make=UvicornServer, alpn=("http/1.1",), loop="auto")
"""The description of this server for `run --asgi`."""

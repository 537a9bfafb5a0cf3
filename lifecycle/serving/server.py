"""
Accepting connections for one ASGI app, on sockets that are already bound.

A cap on connections, an end to idle ones while the listener stays open, and an end of
its own that does not depend on the Python version: hypercorn offers none of these.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any, Final

from lifecycle.serving.connection import HELD, App, Connection, Settings

Admit = Callable[[socket.socket], bool]

LATE: Final = 0.25
"""Seconds in which who connected at the last moment must have sent a request."""
BATCH: Final = 16
"""Connections accepted at one wake-up of the loop."""
ACCEPT_PAUSE: Final = 0.1
"""Seconds until the next try when the process has no descriptor left."""
NO_DESCRIPTOR: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


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
        self._logger = logger
        self._settings = Settings(keep_alive=keep_alive, state=state, logger=logger)
        self.closing = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._connections: dict[Connection, None] = {}  # in the order of their last use
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

    def used(self, connection: Connection) -> None:
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
        connection = Connection(self, self._settings, reader, writer)
        self._connections[connection] = None
        try:
            await connection
        except Exception:
            self._logger.debug("a connection has ended badly", exc_info=True)
        finally:
            self._connections.pop(connection, None)

    @property
    def connections(self) -> int:
        """How many connections there are; from any thread."""
        return len(self._connections)

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

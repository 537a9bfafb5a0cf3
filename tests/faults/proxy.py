"""
A TCP proxy that breaks the network between a client and a server, as it is told to.

Rules of this file:

1. A proxy is driven from any thread. Its sockets belong to a thread and a loop of its own, so a
   busy loop of the test does not slow it down.
2. If the server is down, the proxy still accepts, and resets the connection. Use `refuse` if the
   client has to see a port that is closed.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Final, Self, TypeVar

from tests.faults.links import HERE, Lane, Link, Way, new_socket

T = TypeVar("T")

BACKLOG: Final = 128
CONTROL: Final = 10.0
"""Seconds that a command to the proxy may take."""


class Proxy:
    """
    A proxy. As a context manager, it starts and ends.

    Args:
        target: The port of the server, on the loopback address.

    Attributes:
        port: Where clients connect.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="proxy")
        self._links: set[Link] = set()
        self._listener: socket.socket | None = None
        self._filler: socket.socket | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(CONTROL):
            raise TimeoutError("the proxy does not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(CONTROL)
        if self._thread.is_alive():
            raise TimeoutError("the proxy does not end")

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._do(lambda: len(self._links))

    def passed(self, way: Way) -> int:
        """Return how many bytes have got through in a direction."""
        return self._do(lambda: sum(lane.passed for lane in self._of(way)))

    def delay(self, seconds: float, way: Way = Way.BOTH) -> None:
        """Let each byte arrive later."""
        self._each(way, lambda lane: setattr(lane, "delay", seconds))

    def limit(self, rate: float, way: Way = Way.BOTH) -> None:
        """Let so many bytes a second through, on each connection."""
        self._each(way, lambda lane: setattr(lane, "rate", rate))

    def hold(self, way: Way = Way.BOTH) -> None:
        """Let nothing through. Connections stay open, and new ones are accepted."""
        self._each(way, lambda lane: lane.opened.clear())

    def release(self, way: Way) -> None:
        """Let a direction through that was held."""
        self._each(way, lambda lane: lane.opened.set())

    def cut(self, after: int, way: Way) -> None:
        """Reset the connection on which that many more bytes have got through."""
        self._each(way, lambda lane: setattr(lane, "left", after))

    def isolate(self) -> None:
        """Let nothing through, and do not answer new connections: they time out."""
        self._do(self._isolate)

    def refuse(self) -> None:
        """Close the port, so that new connections are refused."""
        self._do(self._close_port)

    def reset(self) -> None:
        """Reset all connections. What was held back on them is lost."""
        self._do_async(self._reset)

    def half_open(self, silent: Way = Way.UP) -> None:
        """
        Let one side of all connections end, and do not tell the other.

        Args:
            silent: UP ends the server's side: what the client sends goes nowhere, and no answer
                comes. DOWN ends the client's side.
        """
        self._do_async(lambda: self._half_open(silent))

    def heal(self) -> None:
        """End all faults. Connections that are reset or half open stay so."""
        self._do(self._heal)

    def _of(self, way: Way) -> list[Lane]:
        return [lane for one, lane in self._lanes.items() if one in way]

    def _each(self, way: Way, change: Callable[[Lane], object]) -> None:
        self._do(lambda: [change(lane) for lane in self._of(way)])

    def _do(self, call: Callable[[], T]) -> T:
        async def called() -> T:
            return call()

        return self._do_async(called)

    def _do_async(self, call: Callable[[], Awaitable[T]]) -> T:
        async def called() -> T:
            return await call()

        return asyncio.run_coroutine_threadsafe(called(), self._loop).result(CONTROL)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._lanes = {Way.UP: Lane(), Way.DOWN: Lane()}
        async with asyncio.TaskGroup() as self._group:
            self._heal()
            self._ready.set()
            await self._ended.wait()
            self._close_port()
            await self._reset()

    def _heal(self) -> None:
        for lane in self._lanes.values():
            lane.heal()
        if self._listener is None:
            self._listener = new_socket()
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((HERE, self.port))
            self.port = int(self._listener.getsockname()[1])
        self._listener.listen(BACKLOG)
        self._loop.add_reader(self._listener, self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        client, (_, port) = listener.accept()
        if self._filler is not None and self._filler.getsockname()[1] == port:
            client.close()
            self._filler.close()
            self._filler = None
            return
        link = Link(client)
        self._links.add(link)
        link.task = self._group.create_task(link.run(self.target, self._lanes))
        link.task.add_done_callback(lambda _: self._over(link))

    def _over(self, link: Link) -> None:
        self._links.discard(link)
        link.close()

    def _isolate(self) -> None:
        """Fill the queue of connections that nobody accepts: the kernel ignores further ones."""
        for lane in self._lanes.values():
            lane.opened.clear()
        if self._listener is not None and self._filler is None:
            self._loop.remove_reader(self._listener)
            self._listener.listen(0)
            self._filler = socket.create_connection((HERE, self.port), CONTROL)

    def _close_port(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        if self._filler is not None:
            self._filler.close()
            self._filler = None

    async def _reset(self) -> None:
        links = list(self._links)
        for link in links:
            link.kept = None
            link.abort()
            link.task.cancel()
        if links:
            await asyncio.wait([link.task for link in links])

    async def _half_open(self, silent: Way) -> None:
        for link in [each for each in self._links if each.kept is None]:
            await link.begun.wait()
            link.kept = link.client if silent is Way.UP else link.server
            link.task.cancel()
            await link.halved.wait()

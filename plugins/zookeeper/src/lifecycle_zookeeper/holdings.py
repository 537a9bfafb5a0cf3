"""
The nodes that the server has acknowledged, watched until they are lost.

Rules of this file:

1. Nothing polls. A node is looked at after it was written, when its watch is triggered, and when
   there is a connection again. Each look sets the watch again.
2. Lost means that the server has answered so. Without an answer the state is unknown, and this is
   told only when the session must be over.
3. With a new session, the nodes of an earlier one are lost, whatever the server still shows.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

from lifecycle_zookeeper.errors import ZooKeeperFailed
from lifecycle_zookeeper.link import Link
from lifecycle_zookeeper.ownership import Ownership

PART: Final = 100
"""Nodes that are looked at together."""


class Held:
    """
    A node that the server has acknowledged.

    Attributes:
        path: The path.
        session: The session that it ends with.
        news: The reason of a loss, or the failure.
    """

    def __init__(self, path: str, session: int) -> None:
        self.path = path
        self.session = session
        self.touched: Callable[[Any], None] | None = None
        self.news: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def owner(self) -> str:
        """The session, as the server writes it."""
        return f"{self.session & 0xFFFF_FFFF_FFFF_FFFF:#x}"

    def tell(self, news: str | ZooKeeperFailed) -> None:
        """Tell the loss or the failure to all that wait for it."""
        if self.news.done():
            return
        if isinstance(news, ZooKeeperFailed):
            self.news.set_exception(news)
            self.news.exception()  # nobody may be waiting now
        else:
            self.news.set_result(news)


class Holdings:
    """
    The nodes.

    Args:
        link: The connection.
        ownership: Keeps the paths of nodes that other owners have taken.
        session: Seconds that a session lasts without a connection.
    """

    def __init__(self, link: Link, ownership: Ownership, session: float) -> None:
        self._link = link
        self._ownership = ownership
        self._session = session
        self._held: dict[str, Held] = {}
        self._to_look: dict[str, None] = {}
        self._work = asyncio.Event()
        self._over: asyncio.TimerHandle | None = None

    def add(self, path: str) -> None:
        """Start to watch a node that the server has acknowledged."""
        self._held[path] = Held(path, self._link.session)
        self.look(path)

    def drop(self, path: str) -> None:
        """Do not watch a node any longer."""
        self._held.pop(path, None)

    def get(self, path: str) -> Held | None:
        """Return a node. None if it is not held."""
        return self._held.get(path)

    def look(self, path: str) -> None:
        """Have a node looked at, if it is held."""
        if path in self._held:
            self._to_look[path] = None
            self._work.set()

    def opened(self) -> None:
        """Look at all nodes, because there is a connection."""
        self._stop_timer()
        for path, held in [*self._held.items()]:
            if held.session != self._link.session:
                self._lose(held, "lost: the session was over")
            else:
                self.look(path)

    def closed(self, error: ZooKeeperFailed) -> None:
        """Start the time of a session, after which the state is unknown."""
        if self._over is None:
            loop = asyncio.get_running_loop()
            self._over = loop.call_later(self._session, self._doubt, error)

    async def keep(self, *paths: str) -> str:
        """Wait until one of the nodes is lost. Return the reason, or raise the failure."""
        held = [self._held.get(path) for path in paths]
        futures = [each.news for each in held if each is not None]
        if len(futures) < len(paths):
            return "the node was not written by this process"
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        return next(each for each in futures if each.done()).result()

    async def run(self) -> None:
        """Look at nodes, until cancelled."""
        while True:
            await self._work.wait()
            part = [*self._to_look][:PART]
            for path in part:
                del self._to_look[path]
            if not self._to_look:
                self._work.clear()
            held = [one for path in part if (one := self._held.get(path)) is not None]
            # Without an answer, they are looked at when there is a connection.
            with contextlib.suppress(ZooKeeperFailed):
                await asyncio.gather(*(self._look(each) for each in held))

    def close(self) -> None:
        """Stop the timer."""
        self._stop_timer()

    async def _look(self, held: Held) -> None:
        session = self._link.session
        owner = await self._owner(held)
        if owner != session:
            # The server may not have all that was written before the connection was opened.
            await self._link.client.sync()
            owner = await self._owner(held)
        if self._held.get(held.path) is not held or session != self._link.session:
            return  # written again, or removed, or another session, which is looked at anew
        if owner is None:
            self._lose(held, f"lost: the node {held.path} is gone")
        elif owner != session:
            if owner not in self._link.sessions:
                self._ownership.foreign.add(held.path)
            self._lose(held, f"lost: another owner has written the node {held.path}")

    async def _owner(self, held: Held) -> int | None:
        client = self._link.client
        held.touched = held.touched or client.watcher(held.path)
        return await client.owner(held.path, held.touched)

    def _lose(self, held: Held, reason: str) -> None:
        self.drop(held.path)
        held.tell(reason)

    def _doubt(self, error: ZooKeeperFailed) -> None:
        """The session must be over."""
        self._over = None
        for path, held in [*self._held.items()]:
            self.drop(path)
            held.tell((self._link.error or error).again())

    def _stop_timer(self) -> None:
        if self._over is not None:
            self._over.cancel()
            self._over = None

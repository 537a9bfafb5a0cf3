"""
The entries of this process, renewed in time, and whether they are still there.

Rules of this file:

1. Each second, the next part of the entries is renewed, and all of them within a
   third of the lease. So a lost connection is noticed within a second.
2. If one entry is lost, or the connection was lost, all entries are renewed at once.
3. Lost means that the server has answered so. If it does not answer, the state is unknown, and this
   is told only when the lease is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Sequence
from typing import Final, cast

from lifecycle_redis.errors import RedisFailed
from lifecycle_redis.layout import FOREIGN, OURS, Entry, Layout
from lifecycle_redis.link import Link

BEAT: Final = 1.0
"""Seconds between two renewals."""
PART: Final = 500
"""Entries that one command renews at most."""
FEW: Final = 50
"""So few entries are all renewed at each beat."""


class Held:
    """
    An entry that the server has acknowledged.

    Attributes:
        entry: The entry.
        at: When the server has acknowledged it the last time, by the clock of the loop.
        news: The reason of a loss, or the failure.
    """

    def __init__(self, entry: Entry, at: float) -> None:
        self.entry = entry
        self.at = at
        self.news: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def tell(self, news: str | RedisFailed) -> None:
        """Tell the loss or the failure to `keep`."""
        if self.news.done():
            return
        if isinstance(news, RedisFailed):
            self.news.set_exception(news)
            self.news.exception()  # `keep` may not be waiting now
        else:
            self.news.set_result(news)


class Leases:
    """
    The entries.

    Args:
        link: The connection.
        layout: How entries are written.
        lease: Seconds after which an entry expires.
    """

    def __init__(self, link: Link, layout: Layout, lease: float) -> None:
        self._link = link
        self._layout = layout
        self._lease = lease
        self._held: dict[str, Held] = {}
        self._next: list[str] = []
        self.foreign: set[str] = set()
        """Services whose entry another owner has taken, and which have not come back since."""

    def add(self, entry: Entry) -> None:
        """Start to renew an entry that the server has acknowledged."""
        self.foreign.discard(entry.service)
        self._held[entry.service] = Held(entry, asyncio.get_running_loop().time())

    def drop(self, service: str) -> None:
        """Do not renew the entry of a service any longer."""
        self._held.pop(service, None)

    def get(self, service: str) -> Held | None:
        """Return the entry of a service. None if there is none."""
        return self._held.get(service)

    async def keep(self, service: str) -> str:
        """Wait until an entry is lost, and return the reason. Raise the failure if it is unknown."""
        held = self._held.get(service)
        if held is None:
            return "the entry was not written by this process"
        return await asyncio.shield(held.news)

    async def run(self) -> None:
        """Renew the entries in time, until cancelled."""
        while True:
            began = asyncio.get_running_loop().time()
            try:
                if await self._renew_all(self._take_part()):
                    await self._renew_all(self._take_all())
            except RedisFailed as error:
                self._doubt(error)
                await self._outage()
                with contextlib.suppress(RedisFailed):  # the next beat tells it
                    await self._renew_all(self._take_all())
                    continue
            passed = asyncio.get_running_loop().time() - began
            await asyncio.sleep(max(0.0, BEAT - passed))

    async def _outage(self) -> None:
        """Wait until there is a connection, and tell when the leases are over."""
        while True:
            try:
                await self._link.until_open(BEAT)
            except RedisFailed as error:
                self._doubt(error)
            except TimeoutError:
                continue
            else:
                return

    def _take_all(self) -> list[Held]:
        self._next = []
        return [*self._held.values()]

    def _take_part(self) -> list[Held]:
        if not self._next:
            self._next = [*self._held]
        beats = max(1, math.floor(self._lease / 3 / BEAT))
        size = max(FEW, math.ceil(len(self._held) / beats))
        names, self._next = self._next[:size], self._next[size:]
        return [held for name in names if (held := self._held.get(name)) is not None]

    async def _renew_all(self, entries: Sequence[Held]) -> bool:
        """Renew entries, with as many commands as needed. Otherwise as `_renew`."""
        lost = await self._renew(entries[:PART])
        for start in range(PART, len(entries), PART):
            lost |= await self._renew(entries[start : start + PART])
        return lost

    async def _renew(self, part: Sequence[Held]) -> bool:
        """
        Renew some entries. Return True if one is lost, and all others must be looked at.

        Raises:
            RedisFailed: The server has not renewed them.
        """
        if not part:
            await self._link.ask(self._layout.probe())
            return False
        began = asyncio.get_running_loop().time()
        answers = await self._link.ask(self._layout.refresh([held.entry for held in part]))
        lost = False
        for held, found in zip(part, cast("list[int]", answers), strict=True):
            if self._held.get(held.entry.service) is not held:
                continue  # written again, or removed, while the command was under way
            if found == OURS:
                held.at = began
                continue
            lost = True
            self.drop(held.entry.service)
            if found == FOREIGN:
                self.foreign.add(held.entry.service)
                held.tell(f"lost: another owner has written the key {held.entry.key}")
            else:
                held.tell(f"lost: the key {held.entry.key} is gone")
        return lost

    def _doubt(self, error: RedisFailed) -> None:
        """Tell the failure for each entry that has expired by now."""
        over = asyncio.get_running_loop().time() - self._lease
        for service, held in [*self._held.items()]:
            if held.at < over:
                self.drop(service)
                held.tell(error.again())

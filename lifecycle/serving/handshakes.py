"""
TLS handshakes: bounded in time and in number, since each takes some 300 kB before anybody knows
whose it is.

Rules of this file:

1. More than `AT_ONCE` wait for a place. The next place goes to the address that has the fewest.
2. While others wait, a handshake that stands still has `STALLED` seconds and no more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Final

from lifecycle.serving.standing import Standing

HANDSHAKE_TIME: Final = 10.0
"""Seconds for a handshake, from the connection on."""
AT_ONCE: Final = 32
STALLED: Final = 2.0


class Handshakes:
    """
    The handshakes of one server.

    Args:
        clock: Seconds, as the running loop counts them.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._limits: dict[Standing, asyncio.Timeout] = {}
        self._began: dict[Standing, float] = {}
        self._places: Counter[str] = Counter()
        self._waiting: dict[str, OrderedDict[asyncio.Future[None], None]] = {}

    @contextlib.asynccontextmanager
    async def place(
        self, standing: Standing, *, within: float = HANDSHAKE_TIME
    ) -> AsyncIterator[None]:
        """
        Have a place for one handshake while this is entered.

        Args:
            standing: Of the connection.
            within: Seconds for it, from the connection on.

        Raises:
            TimeoutError: It has taken too long, or there was no place in time.
        """
        try:
            async with asyncio.timeout_at(standing.since + within) as limit:
                self._limits[standing] = limit
                await self._take(standing.address)
                try:
                    self._began[standing] = self._clock()
                    self._hurry_stalled()
                    yield
                finally:
                    self._began.pop(standing, None)
                    self._give_back(standing.address)
        finally:
            del self._limits[standing]

    def hurry(self, standing_until: Callable[[Standing], float]) -> None:
        """Let no handshake go on for longer than this says."""
        for standing, limit in self._limits.items():
            _limit_to(limit, standing_until(standing), self._clock())

    async def _take(self, address: str) -> None:
        if self._places.total() < AT_ONCE:
            self._places[address] += 1
            return
        granted = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(address, OrderedDict())
        waiting[granted] = None
        self._hurry_stalled()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._give_back(address)
            raise
        finally:
            waiting.pop(granted, None)
            if not waiting and self._waiting.get(address) is waiting:
                del self._waiting[address]

    def _give_back(self, address: str) -> None:
        self._places[address] -= 1
        if not self._places[address]:
            del self._places[address]
        while self._waiting:
            fewest = min(self._waiting, key=self._places.__getitem__)
            granted, _ = self._waiting[fewest].popitem(last=False)
            if not self._waiting[fewest]:
                del self._waiting[fewest]
            if not granted.done():  # it may have been cancelled in this very turn
                self._places[fewest] += 1
                granted.set_result(None)
                return

    def _hurry_stalled(self) -> None:
        if self._waiting:
            for standing, began in self._began.items():
                _limit_to(self._limits[standing], began + STALLED, self._clock())


def _limit_to(limit: asyncio.Timeout, until: float, now: float) -> None:
    when = limit.when()
    if not limit.expired() and when is not None and until < when:
        limit.reschedule(max(until, now))

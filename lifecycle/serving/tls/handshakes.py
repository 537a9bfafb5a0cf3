"""
TLS handshakes: bounded in time and in memory, since each takes some before anybody knows whose
it is.

Rules of this file:

1. More than `AT_ONCE` wait for a place. The next place goes to the address that has the fewest.
2. A handshake's time is its client's: that it has waited for its place does not count.
3. While others wait, a handshake of which nothing comes has `STALLED` seconds and no more.
4. A client that has not sent its whole first message takes no place: see `client_hello`.
5. When many have gone, their memory is given back.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from lifecycle.serving.connection_table import ConnectionEntry
from lifecycle.serving.first_byte import HANDSHAKE_TIME
from lifecycle.serving.tls.malloc_trim import Trimmer

STALLED: Final = 1.5
MEMORY: Final = 16 * 2**20
"""Bytes for all handshakes that are under way."""
COST: Final = 56 * 2**10
"""Bytes for one, from its client's first message on, as measured."""
AT_ONCE: Final = MEMORY // COST


@dataclass(eq=False, slots=True)
class _Handshake:
    limit: asyncio.Timeout
    latest: float
    began: float | None = None
    """When it had its place; None while it waits for one."""
    moved: float = 0.0
    """When something has come of it."""


class Handshakes:
    """
    The handshakes of one server.

    Args:
        clock: Seconds, as the running loop counts them.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._all: dict[ConnectionEntry, _Handshake] = {}
        self._under_way: set[_Handshake] = set()
        self._places: Counter[str] = Counter()
        self._waiting: dict[str, OrderedDict[asyncio.Future[None], None]] = {}
        self._trimmer = Trimmer(clock, asyncio.get_running_loop().call_at)

    @contextlib.asynccontextmanager
    async def place(
        self, entry: ConnectionEntry, *, latest: float = math.inf
    ) -> AsyncIterator[Callable[[], None]]:
        """
        Have a place for one handshake while this is entered.

        Args:
            entry: Of the connection.
            latest: When it must be over in any case, by the clock.

        Returns:
            What is to be called whenever something has come of the handshake.

        Raises:
            TimeoutError: It has taken too long, or there was no place in time.
        """
        try:
            async with asyncio.timeout_at(min(self._clock() + HANDSHAKE_TIME, latest)) as limit:
                shake = self._all[entry] = _Handshake(limit, latest)
                await self._take(entry.address)
                self._trimmer.note_count(self._places.total())
                try:
                    shake.began = self._clock()
                    self._under_way.add(shake)
                    self._moved(shake)
                    yield partial(self._moved, shake)
                finally:
                    self._under_way.discard(shake)
                    self._give_back(entry.address)
                    self._trimmer.note_count(self._places.total())
        finally:
            self._all.pop(entry, None)

    def hurry(self, until: Callable[[ConnectionEntry], float]) -> None:
        """Let no handshake that has begun, or waits, go on for longer than this says."""
        for entry, shake in self._all.items():
            shake.latest = min(shake.latest, until(entry))
            self._set_limit(shake)

    async def _take(self, address: str) -> None:
        if self._places.total() < AT_ONCE:
            self._places[address] += 1
            return
        first = not self._waiting
        granted = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(address, OrderedDict())
        waiting[granted] = None
        if first:
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
        for shake in self._under_way:
            self._set_limit(shake)

    def _moved(self, shake: _Handshake) -> None:
        if shake in self._under_way:
            shake.moved = self._clock()
            self._set_limit(shake)

    def _set_limit(self, shake: _Handshake) -> None:
        when = shake.limit.when()
        if shake.limit.expired() or when is None:
            return
        if shake.began is None:
            until = min(when, shake.latest)
        else:
            until = min(shake.began + HANDSHAKE_TIME, shake.latest)
            if self._waiting:
                until = min(until, shake.moved + STALLED)
        if until != when:
            shake.limit.reschedule(max(until, self._clock()))

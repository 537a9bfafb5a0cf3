"""
TLS handshakes, limited in time and memory, because each one costs memory before its client is
known.

Rules of this file:

1. If more than `AT_ONCE` handshakes run, the others wait for a place. The next place goes to the
   address that has the fewest.
2. The time of a handshake is the client's own time. The wait for a place does not count.
3. While others wait, a handshake without progress has `STALLED` seconds.
4. A client that has not sent its whole first message gets no place: see `client_hello`.
5. After many handshakes have ended, their memory is given back.
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
"""Bytes for all running handshakes."""
COST: Final = 56 * 2**10
"""Bytes for one handshake after its client's first message, as measured."""
AT_ONCE: Final = MEMORY // COST


@dataclass(eq=False, slots=True)
class _Handshake:
    limit: asyncio.Timeout
    latest: float
    began: float | None = None
    """When it got its place, or None while it waits for one."""
    moved: float = 0.0
    """When its last bytes arrived."""


class Handshakes:
    """
    The handshakes of one server.

    Args:
        clock: The clock of the running loop, in seconds.
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
        Hold a place for one handshake while this context is entered.

        Args:
            entry: The entry of the connection.
            latest: When the handshake must be over in any case, by the clock.

        Returns:
            A function to call whenever bytes of the handshake have arrived.

        Raises:
            TimeoutError: The handshake took too long, or there was no place in time.
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
        """Shorten the time of every running and waiting handshake to this limit."""
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

"""
The traffic of a server that tells nothing of itself, as the kernel sees it, from T0 on.

Rules of this file:

1. A connection is waited for while it is owed an answer: nobody has accepted it, or it has
   unread bytes, or something came on it and nothing was sent since, or the answer still flows.
2. It is owed none any more once it was seen answered, or to go to and fro: a client that keeps a
   connection asks for ever, and nobody can tell it to go. Its server may end it well itself.
3. What arrives is a new connection. One on which nothing is sent is none, and those of a monitor
   are none either (`beats`): else a drain with probes on the app's own port would never be quiet.
4. It is looked only while draining: now and then, and often from settle − quiet on.

What it cannot see: what is inside TLS, HTTP/2's streams, Unix sockets; and a WebSocket whose
client has spoken last looks like a request. A client that asks the same at a regular beat, with a
new connection each time, looks like a monitor.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from lifecycle.drain.beats import Arrivals
from lifecycle.drain.kernel_sockets import tcp_sockets
from lifecycle.drain.socket_diagnosis import Endings, NoDiagnosis
from lifecycle.drain.socket_messages import CLOSE_WAIT, CLOSING, ESTABLISHED, TcpSocket, name_of

ALIVE: Final = ESTABLISHED | CLOSE_WAIT
SELDOM: Final = 0.5
"""Seconds between two looks as long as it is too early to leave."""
OFTEN: Final = 0.1
"""Likewise, afterwards."""
DEAREST: Final = 20
"""A look that costs more is repeated only after so many times what it cost."""
FLOWING: Final = 500
"""Milliseconds since something was sent in which more may follow: two pieces of an answer may have
one or two looks between them."""
TO_AND_FRO: Final = 3
"""After so many looks between which bytes went both ways, a connection is one that is kept: a TLS
handshake and a first answer are fewer."""
AT_ONCE: Final = 500
"""How many endings are read before something else has its turn."""


class Connection:
    """
    One connection, from look to look.

    Attributes:
        new: True if it has come since T0.
        seen_at: When it was first seen.
        held: True while it is waited for.
        socket: How it was last seen.
        gone: True if the last look did not find it, and its end has not been told yet.
    """

    __slots__ = ("_owed", "_to_and_fro", "gone", "held", "new", "seen_at", "socket")

    def __init__(self, found: TcpSocket, seen_at: float, *, new: bool) -> None:
        self.new = new
        self.seen_at = seen_at
        self.socket = found
        self.gone = False
        self.held = False
        self._owed = True
        self._to_and_fro = 0
        self.seen(found)

    def seen(self, now: TcpSocket) -> None:
        """Take note of how it is at this look."""
        before, self.socket, self.gone = self.socket, now, False
        answering = now.sent > before.sent
        self._to_and_fro += answering and now.received > before.received
        if not now.state & ALIVE or self._to_and_fro >= TO_AND_FRO:
            self._owed = False
        flows = answering or (bool(now.sent) and now.sent_ago < FLOWING)
        waits = flows or bool(now.unsent) or _unanswered(now)
        if now.received and not waits:
            self._owed = False
        self.held = self._owed and waits


def _unanswered(now: TcpSocket) -> bool:
    if not now.accepted or now.waiting:
        return True
    # By the bytes at first: what came within one tick of the kernel's clock has the same age.
    asked = now.received > (now.state == CLOSE_WAIT)  # the peer's end counts as a byte
    return asked and (not now.sent or now.received_ago < now.sent_ago)


class UninstrumentedTraffic:
    """
    What other processes serve, by the kernel's word. Lives on the control loop.

    Args:
        ports: Tells the ports of the services.
        early: Seconds from T0 in which no drain is over: settle − quiet.
        nudge: Called after each look.
    """

    def __init__(
        self, ports: Callable[[], Iterable[int]], early: float, nudge: Callable[[], object]
    ) -> None:
        self._ports = ports
        self._early = early
        self._nudge = nudge
        self._arrivals = Arrivals()
        self._connections: dict[int, Connection] = {}
        self._endings: Endings | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._held: Counter[int] = Counter()
        self._snapped = False
        self._seen_until = -math.inf
        self._often_at = -math.inf

    def begin(self) -> None:
        """Take note of T0: who is connected now has not arrived."""
        loop = asyncio.get_running_loop()
        self._often_at = loop.time() + self._early
        with suppress(NoDiagnosis, OSError):  # then what is short is seen only by a look
            self._endings = Endings()
            loop.add_reader(self._endings, self._ended)
        self._look()

    def end(self) -> None:
        """Look no more; on the control loop."""
        if self._timer is not None:
            self._timer.cancel()
        if self._endings is not None:
            asyncio.get_running_loop().remove_reader(self._endings)
            self._endings.close()
            self._endings = None

    # What is asked

    def in_flight(self) -> int:
        """Return how many connections are owed an answer; from any thread; 0 before T0."""
        return self._held.total()

    def names(self) -> list[str]:
        """Name the ports that they are on; from any thread."""
        return [f"on port {port} ({count})" for port, count in self._held.most_common(5)]

    def arrived_at(self) -> float:
        """Return when a connection last came that counts; minus infinity if none has."""
        new = (each.seen_at for each in self._connections.values() if each.new)
        return max(self._arrivals.last(), max(new, default=-math.inf))

    def awake_since(self) -> float:
        """Return minus infinity: the kernel notices always."""
        return -math.inf

    def seen_until(self) -> float:
        """Return the time of the last look."""
        return self._seen_until

    def disturbers(self) -> list[str]:
        """Return whose new connections there were most: `connections from 10.0.0.7 (12)`."""
        most = self._arrivals.most()
        return [f"connections from {name_of(peer)} ({count})" for peer, count in most]

    # What is seen

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now, spent = loop.time(), time.thread_time()
        try:
            found = tcp_sockets([*self._ports()], ALIVE | CLOSING, info=True)
        except OSError:  # no descriptor is left: what cannot be seen is waited for
            found = None
        if found is not None:
            for each in found:
                self._see(each, now)
            self._snapped, self._seen_until = True, now
            self._part_from({each.cookie for each in found}, now)
            there = self._connections.values()
            self._held = Counter(each.socket.port for each in there if each.held)
        cost = time.thread_time() - spent
        pace = SELDOM if now + SELDOM <= self._often_at else OFTEN
        self._timer = loop.call_later(max(pace, cost * DEAREST), self._look)
        self._nudge()

    def _see(self, found: TcpSocket, now: float) -> None:
        known = self._connections.get(found.cookie)
        if known is not None:
            known.seen(found)
        elif found.state & ALIVE or not self._snapped:  # a later one is told of by its end
            self._connections[found.cookie] = Connection(found, now, new=self._snapped)

    def _part_from(self, there: set[int], now: float) -> None:
        """Take note of who is there no more, if his end has not been told by the next look."""
        for cookie, each in [*self._connections.items()]:
            if cookie in there:
                continue
            if each.gone or self._endings is None:
                self._over(each.socket, now)
            each.gone, each.held = True, False

    def _ended(self) -> None:
        if self._endings is None:
            return
        now = asyncio.get_running_loop().time()
        found, missed = self._endings.take(AT_ONCE)
        if missed:
            self._arrivals.missed(now)
        ports = frozenset(self._ports())
        for each in found:
            if each.port in ports:
                self._over(each, now)
        if not self._held:
            self._nudge()

    def _over(self, ended: TcpSocket, now: float) -> None:
        known = self._connections.pop(ended.cookie, None)
        if known is not None and known.held:
            self._held = self._held - Counter([known.socket.port])  # others may be reading it
        if known is None or known.new:
            began = now if known is None else known.seen_at
            self._arrivals.note(ended.peer, ended.received, ended=now, began=began)

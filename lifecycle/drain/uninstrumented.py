"""
The traffic of a server without instrumentation, as the kernel sees it during a drain.

Rules of this file:

1. The drain waits for a connection while an answer is due. An answer is due if no process has
   accepted the connection, or if it has unread bytes. An answer is also due if bytes came and
   nothing was sent since, and while the answer is being sent.
2. After the answer was seen, or bytes went both ways several times, no answer is due any more. A
   client with a keep-alive connection may send requests forever, and cannot be told to stop.
3. A new connection counts as a request, with two exceptions: connections without data, and those
   of a monitor (see `beats`). Otherwise probes on the app's own port would delay the drain.
4. Connections are checked only while draining, and while `lifecycle offline --wait` runs: seldom at
   first, often from settle − quiet on.

Limits: the content of TLS, HTTP/2 streams and Unix sockets are not visible. A WebSocket whose
client has sent last looks like a request. A client that sends the same request at a regular
interval, each time on a new connection, looks like a monitor.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

from lifecycle.drain.beats import Arrivals
from lifecycle.drain.counts import Totals
from lifecycle.drain.elsewhere import Ended, Seen, View, by_age
from lifecycle.drain.kernel_sockets import tcp_sockets
from lifecycle.drain.late_arrivals import UNKNOWN, ArrivalStatus
from lifecycle.drain.socket_diagnosis import Endings, NoDiagnosis
from lifecycle.drain.socket_messages import CLOSE_WAIT, CLOSING, ESTABLISHED, TcpSocket, name_of

ALIVE: Final = ESTABLISHED | CLOSE_WAIT
SELDOM: Final = 0.5
"""Seconds between two checks while it is too early to end the drain."""
OFTEN: Final = 0.1
"""Seconds between two checks afterwards."""
DEAREST: Final = 20
"""A more expensive check is repeated only after this many times its duration."""
FLOWING: Final = 500
"""Milliseconds after the last sent bytes in which more may follow. There may be one or two checks
between two parts of an answer."""
TO_AND_FRO: Final = 3
"""After this many checks with bytes in both directions, it is a keep-alive connection. A TLS
handshake and a first answer take fewer."""
AT_ONCE: Final = 500
"""Ended connections that are read in one turn of the loop."""


class Connection:
    """
    One connection, over several checks.

    Attributes:
        new: True if it came after the drain start.
        seen_at: The time when it was first seen.
        held: True while the drain waits for it.
        socket: Its state at the last check.
        gone: True if the last check did not find it, and the event of its end has not come yet.
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
        """Store its state at this check."""
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
    # Compare bytes first, because within one tick of the kernel clock ages are equal.
    asked = now.received > (now.state == CLOSE_WAIT)  # the end of the peer counts as one byte
    return asked and (not now.sent or now.received_ago < now.sent_ago)


class UninstrumentedTraffic:
    """
    The traffic of other processes, from the kernel. For the control loop.

    Args:
        ports: Returns the ports of the services.
        early: Seconds after the drain start in which no drain can end: settle − quiet.
        nudge: Called after each check.
    """

    def __init__(
        self, ports: Callable[[], Iterable[int]], early: float, nudge: Callable[[], object]
    ) -> None:
        self._ports = ports
        self._early = early
        self._nudge = nudge
        self._began = -math.inf
        self._arrivals = Arrivals()
        self._connections: dict[int, Connection] = {}
        self._endings: Endings | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._held: Counter[int] = Counter()
        self._snapped = False
        self._seen_until = -math.inf
        self._often_at = -math.inf

    def begin(self) -> None:
        """Start the checks, again if they run. Existing connections do not count as new."""
        self.end()
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        self._arrivals, self._connections = Arrivals(self._began), {}
        self._held, self._snapped, self._seen_until = Counter(), False, -math.inf
        self._often_at = loop.time() + self._early
        with suppress(NoDiagnosis, OSError):  # then short connections may be missed
            self._endings = Endings()
            loop.add_reader(self._endings, self._ended)
        self._look()

    def end(self) -> None:
        """Stop the checks. For the control loop."""
        if self._timer is not None:
            self._timer.cancel()
        if self._endings is not None:
            asyncio.get_running_loop().remove_reader(self._endings)
            self._endings.close()
            self._endings = None

    # What is asked

    def in_flight(self) -> int:
        """Return the number of connections with a due answer. From any thread."""
        return self._held.total()

    def names(self) -> list[str]:
        """Return the ports of these connections. From any thread."""
        return [f"on port {port} ({count})" for port, count in self._held.most_common(5)]

    def arrived_at(self) -> float:
        """Return the time of the last connection that counts, or minus infinity."""
        new = (each.seen_at for each in self._connections.values() if each.new)
        return max(self._arrivals.last(), max(new, default=-math.inf))

    def awake_since(self) -> float:
        """Return when the checks have started. From then on, the kernel notices all connections."""
        return self._began

    def seen_until(self) -> float:
        """Return the time of the last check."""
        return self._seen_until

    def disturbers(self) -> list[str]:
        """Return the most frequent clients, for example `connections from 10.0.0.7 (12)`."""
        most = self._arrivals.most()
        return [f"connections from {name_of(peer)} ({count})" for peer, count in most]

    async def view(self, limit: int, *, stacks: bool) -> View:  # noqa: ARG002 - they have none
        """Return the connections with a due answer, the oldest first."""
        held = self.cut_off()
        return View(held[:limit], total=len(held))

    async def locate(self) -> None:
        """Do nothing, because the kernel does not know where the work stands."""

    def cut_off(self) -> Sequence[Seen]:
        """Return the connections with a due answer, the oldest first."""
        held = [each for each in [*self._connections.values()] if each.held]
        return sorted(
            (Seen(each.seen_at, f"connection to port {each.socket.port}") for each in held),
            key=by_age,
        )

    def last_to_end(self) -> Ended | None:
        """Return None, because the kernel does not know which work has ended."""
        return None

    def arrivals(self) -> ArrivalStatus:
        """Return the connections that came after the drain start. Requests are not visible."""
        seen = self._arrivals.timeline(
            each.seen_at for each in self._connections.values() if each.new
        )
        last, seconds = round(seen.last, 3), seen.seconds
        return {**UNKNOWN, "last_connection": last, "connections": seconds}

    def totals(self) -> Totals:
        """Return zeros, because the kernel does not count requests."""
        return Totals()

    def oldest_at(self) -> float:
        """Return since when the oldest connection is known whose answer is due."""
        held = (each.seen_at for each in [*self._connections.values()] if each.held)
        return min(held, default=math.inf)

    # What is seen

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now, spent = loop.time(), time.thread_time()
        try:
            found = tcp_sockets([*self._ports()], ALIVE | CLOSING, info=True)
        except OSError:  # no descriptor is free, so wait
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
        elif found.state & ALIVE or not self._snapped:  # a closing one comes as an event
            self._connections[found.cookie] = Connection(found, now, new=self._snapped)

    def _part_from(self, there: set[int], now: float) -> None:
        """Handle connections that have disappeared, if no event of their end has come."""
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
            self._held = self._held - Counter([known.socket.port])  # other threads may read it
        if known is None or known.new:
            began = now if known is None else known.seen_at
            self._arrivals.note(ended.peer, ended.received, ended=now, began=began)

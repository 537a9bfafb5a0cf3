"""
The connections and requests that come after the drain start, for the report.

`lifecycle tune` finds from them how long `settle` must be. The drain itself does not use them.

Rules of this file:

1. A connection is new if it was not open at the drain start. The kernel lists the open ones then,
   in a separate thread, so that a long list delays nothing.
2. A new connection counts when its first request comes. Health checks are requests too, and the
   caller leaves them out.
3. If one request does not show its connection, nothing is reported about connections. Otherwise
   a client that was overlooked could make `settle` too short.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable
from typing import Final, TypedDict

from lifecycle.calls.threads import run_in_thread
from lifecycle.drain.peers import Peer, open_connections, peer_of

SECONDS_SHOWN: Final = 120
"""Seconds that are listed one by one. The last of them counts everything that comes later too."""
PEERS_KEPT: Final = 20_000
"""New connections whose later requests are recognized. They take about 150 bytes each."""


class ArrivalStatus(TypedDict):
    """
    The arrivals after the drain start, without health checks. A value is None if it is not known.

    Attributes:
        last_connection: Seconds after the drain start at which the last new connection came. 0 if
            none came.
        last_request: Seconds after the drain start at which the last request came. 0 if none came.
        arrivals: The number of requests in each second after the drain start.
        connections: The number of new connections in each second after the drain start.
    """

    last_connection: float | None
    last_request: float | None
    arrivals: list[int] | None
    connections: list[int] | None


UNKNOWN: Final[ArrivalStatus] = {
    "last_connection": None,
    "last_request": None,
    "arrivals": None,
    "connections": None,
}


class Timeline:
    """
    Times after the drain start: the last one, and how many there were in each second.

    Args:
        began: The drain start.
    """

    def __init__(self, began: float) -> None:
        self.began = began
        self.last = 0.0
        self.seconds: list[int] = []

    def add(self, at: float, count: int = 1) -> None:
        """Add arrivals at a time on the same clock."""
        elapsed = max(0.0, at - self.began)
        self.last = max(self.last, elapsed)
        second = min(int(elapsed), SECONDS_SHOWN - 1)
        while len(self.seconds) <= second:
            self.seconds.append(0)
        self.seconds[second] += count


class LateArrivals:
    """
    The record of one drain. From any thread.

    Args:
        clock: The monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._requests = self._new = Timeline(0.0)
        self._began = False
        self._open: set[Peer] = set()
        self._listed_at = math.inf
        """When the kernel had listed the open connections. Earlier requests are not on new ones."""
        self._room = PEERS_KEPT
        self._hidden = False
        """True if some connections cannot be recognized."""
        self._shown = False
        """True if some connection was recognized."""

    def begin(self, now: float, ports: Iterable[int]) -> None:
        """
        Handle the drain start.

        Args:
            now: The time.
            ports: The ports of the services. Without ports, nothing is known of connections.
        """
        wanted = [*ports]
        self._requests, self._new = Timeline(now), Timeline(now)
        self._hidden, self._began = not wanted, True
        if not wanted:
            return
        try:
            run_in_thread(
                lambda: open_connections(wanted), self._listed, name="lifecycle-connections"
            )
        except RuntimeError:  # no thread is available now
            self._hidden = True

    def _listed(self, found: set[Peer] | None, error: BaseException | None) -> None:
        with self._lock:
            if found is None or error is not None:
                self._hidden = True
                return
            self._open = found
            self._room = len(found) + PEERS_KEPT
            self._listed_at = self._clock()

    def request(self, at: float, address: object) -> None:
        """
        Store a request that is not a health check.

        Args:
            at: When it came.
            address: The client's end of its connection, as `(host, port)`. None if unknown.
        """
        peer = peer_of(address)
        with self._lock:
            if not self._is_late(at):
                return
            self._requests.add(at)
            if peer is None:
                self._hidden = True
                return
            self._shown = True
            if at < self._listed_at or peer in self._open:
                return
            if len(self._open) < self._room:
                self._open.add(peer)
            self._new.add(at)

    def work(self, at: float) -> None:
        """Store work that is not the request of a client, as far as pod-lifecycle knows."""
        with self._lock:
            if self._is_late(at):
                self._requests.add(at)

    def _is_late(self, at: float) -> bool:
        """Return whether a drain has started before. Else clients were told to go without one."""
        return self._began and at >= self._requests.began

    def status(self) -> ArrivalStatus:
        """Return what came so far."""
        with self._lock:
            requests, new = self._requests, self._new
            known = not self._hidden and (self._shown or not requests.seconds)
            return {
                "last_connection": round(new.last, 3) if known else None,
                "last_request": round(requests.last, 3),
                "arrivals": [*requests.seconds],
                "connections": [*new.seconds] if known else None,
            }

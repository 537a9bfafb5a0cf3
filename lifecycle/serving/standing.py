"""
Where each connection of a server stands, and which one makes room for the next.

Rules of this file:

1. A connection's state is set in one place, `Standing.become`, with the time since when.
2. NEW is not idle. A connection that has not asked yet has a request on its way, as far as
   anybody can tell: it becomes idle only once it is old enough.
3. The address with the most connections makes room first, so that a crowd costs nobody else.
   A connection that has sent its request makes room only for another one that has.
4. What makes room is found by counts that are kept, not by a search of all connections.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Iterator
from typing import Final

LOOKS: Final = 16
"""How many of the oldest are looked at for one that has sent nothing."""


class ConnState(enum.IntEnum):
    """Where a connection stands: by what would be lost if it were cut, least first."""

    CLOSED = 0
    """The server has ended it; what was sent last may still be on its way."""
    IDLE = 1
    """Answered, and waiting for its next request."""
    NEW = 2
    """It has not sent a whole request yet; over TLS, it may still be shaking hands."""
    ACTIVE = 3
    """At least one request is being answered."""
    HELD = 4
    """As ACTIVE, and its app has asked that it keeps its place."""


class Standing:
    """
    One accepted connection, from `accept` until its socket is closed.

    Attributes:
        address: Who has connected: one address is one crowd.
        state: Where it stands.
        since: Since when, by the clock of the loop.
        abort: Closes it at once; whoever accepts it says how.
        unread: Tells whether something has come that nobody has read.
    """

    __slots__ = ("_crowd", "_table", "abort", "address", "since", "state", "unread")

    def __init__(self, table: Table, crowd: _Crowd) -> None:
        self.address = crowd.address
        self.state = ConnState.NEW
        self.since = table.clock()
        self.abort: Callable[[], object] = lambda: None
        self.unread: Callable[[], bool] = lambda: False
        self._table = table
        self._crowd = crowd

    def become(self, state: ConnState) -> None:
        """Note where it stands from now on; once it is CLOSED, for good."""
        if self.state in (state, ConnState.CLOSED):
            return
        ranks = self._crowd.ranks
        if self in ranks[self.state]:
            del ranks[self.state][self]
            ranks[state][self] = None
        self.state = state
        self.since = self._table.clock()


class _Crowd:
    """All connections from one address: by their state, the oldest first."""

    __slots__ = ("address", "ranks", "size")

    def __init__(self, address: str) -> None:
        self.address = address
        self.size = 0
        self.ranks: dict[ConnState, dict[Standing, None]] = {each: {} for each in ConnState}

    def least(self, states: tuple[ConnState, ...]) -> Standing | None:
        """Return the oldest of the least state, but none that has sent what nobody has read."""
        for state in states:
            for each in itertools.islice(self.ranks[state], LOOKS):
                if state not in WAITING or not each.unread():
                    return each
        return None


WAITING: Final = frozenset({ConnState.IDLE, ConnState.NEW})
NOT_ASKED: Final = (ConnState.CLOSED, ConnState.IDLE, ConnState.NEW)
ASKED: Final = (*NOT_ASKED, ConnState.ACTIVE)


class Table:
    """
    The connections of one server.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._size = 0
        self._crowds: dict[str, _Crowd] = {}

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Standing]:
        """Go through all that are here now, whatever happens to them meanwhile."""
        crowds = self._crowds.values()
        return iter([each for crowd in crowds for rank in crowd.ranks.values() for each in rank])

    def add(self, address: str) -> Standing:
        """Take a new connection in."""
        crowd = self._crowds.get(address)
        if crowd is None:
            crowd = self._crowds[address] = _Crowd(address)
        standing = Standing(self, crowd)
        crowd.ranks[ConnState.NEW][standing] = None
        crowd.size += 1
        self._size += 1
        return standing

    def remove(self, standing: Standing) -> None:
        """Forget a connection, unless that was done before."""
        crowd = standing._crowd
        rank = crowd.ranks[standing.state]
        if standing in rank:
            del rank[standing]
            crowd.size -= 1
            self._size -= 1
            if not crowd.size:
                del self._crowds[crowd.address]

    def is_largest(self, address: str) -> bool:
        """Tell whether the crowd of an address would be the largest with one more."""
        own = self._crowds.get(address)
        size = own.size + 1 if own is not None else 1
        return size >= self._largest()

    def _largest(self) -> int:
        return max((each.size for each in self._crowds.values()), default=0)

    def dispensable(self, address: str | None = None, *, crowded: bool = False) -> Standing | None:
        """
        Return what makes room for a connection that has not asked yet; None if nothing may.

        Args:
            address: Where that one comes from; None if nobody knows.
            crowded: Look at the largest crowd only.
        """
        own = self._crowds.get(address) if address is not None else None
        size = own.size + 1 if own is not None else 1
        return self._least(own, size, NOT_ASKED, self._largest() if crowded else 0)

    def outranked(self, asking: Standing) -> Standing | None:
        """
        Return what makes room for a connection that has just asked.

        That is the connection itself if its own crowd is the largest, and has nothing better;
        None if other crowds are larger, and all they have keeps its place.
        """
        own = asking._crowd
        found = self._least(own, own.size, ASKED)
        return found or (asking if own.size == self._largest() else None)

    def _least(
        self, own: _Crowd | None, size: int, states: tuple[ConnState, ...], at_least: int = 0
    ) -> Standing | None:
        # Of crowds of one size, the newcomer's own comes first: it is the larger with it.
        sizes = [(size if each is own else each.size, each) for each in self._crowds.values()]
        rivals = [(n, each is own, each) for n, each in sizes if n >= max(size, at_least)]
        rivals.sort(key=lambda rival: rival[:2], reverse=True)
        return next((found for *_, each in rivals if (found := each.least(states))), None)

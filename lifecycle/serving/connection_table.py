"""
The connections of a server: the state of each, since when, and which one makes room for the next.

Rules of this file:

1. A connection's state is set in one place, `ConnectionEntry.become`, with the time since when. What
   follows from a state is looked up in `connection_states`.
2. The address with the most connections makes room first, so that a crowd costs nobody else.
   A connection that has sent its request makes room only for another one that has.
3. What makes room is found by counts that are kept, not by a search of all connections.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Final

from lifecycle.serving.connection_states import (
    GIVE_WAY,
    NEW_TIME,
    NEXT,
    RULES,
    ConnEvent,
    ConnState,
    GivesWay,
    Rules,
)

LOOKS: Final = 16
"""How many of the oldest are looked at for one that has sent nothing."""


class ConnectionEntry:
    """
    One accepted connection, from `accept` until its socket is closed.

    Attributes:
        address: Who has connected.
        state: Where it stands.
        since: Since when, by the clock of the loop.
        abort: Closes it at once; whoever accepts it says how.
        unread: Tells whether something has come that nobody has read.
    """

    __slots__ = ("abort", "address", "group", "since", "state", "table", "unread")

    def __init__(self, table: ConnectionTable, group: AddressGroup) -> None:
        self.table = table
        self.group = group
        self.address = group.address
        self.state = ConnState.NEW
        self.since = table.clock()
        self.abort: Callable[[], object] = lambda: None
        self.unread: Callable[[], bool] = lambda: False

    @property
    def rules(self) -> Rules:
        """What holds for it now."""
        return RULES[self.state]

    @property
    def idle_from(self) -> float:
        """From when on it may be closed if nothing is under way; by the clock of the loop."""
        return self.since + NEW_TIME if RULES[self.state].young else self.since

    def note(self, event: ConnEvent) -> None:
        """Note what has happened."""
        self.become(NEXT[self.state][event])

    def become(self, state: ConnState) -> None:
        """Note where it stands from now on; once it is CLOSED, for good."""
        if self.state in (state, ConnState.CLOSED):
            return
        by_state = self.group.by_state
        if self in by_state[self.state]:
            del by_state[self.state][self]
            by_state[state][self] = None
        self.state = state
        self.since = self.table.clock()


class AddressGroup:
    """All connections from one address: by their state, the oldest first."""

    __slots__ = ("address", "by_state", "size")

    def __init__(self, address: str) -> None:
        self.address = address
        self.size = 0
        self.by_state: dict[ConnState, dict[ConnectionEntry, None]] = {
            each: {} for each in ConnState
        }

    def least(self, whom: GivesWay) -> ConnectionEntry | None:
        """Return the oldest of the least state, but none that has sent what nobody has read."""
        for state in GIVE_WAY[whom]:
            for each in itertools.islice(self.by_state[state], LOOKS):
                if not RULES[state].waits or not each.unread():
                    return each
            if len(self.by_state[state]) > LOOKS:
                return None  # one that was not looked at may have less to lose than who has asked
        return None

    @property
    def is_unclear(self) -> bool:
        """True while so many are yet to be read that nobody knows who has asked for nothing."""
        return any(len(self.by_state[state]) > LOOKS for state in RULES if RULES[state].waits)


class ConnectionTable:
    """
    The connections of one server.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._size = 0
        self._groups: dict[str, AddressGroup] = {}

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[ConnectionEntry]:
        """Go through all that are here now, whatever happens to them meanwhile."""
        groups = self._groups.values()
        return iter([each for group in groups for some in group.by_state.values() for each in some])

    def add(self, address: str) -> ConnectionEntry:
        """Take a new connection in."""
        group = self._groups.get(address)
        if group is None:
            group = self._groups[address] = AddressGroup(address)
        entry = ConnectionEntry(self, group)
        group.by_state[entry.state][entry] = None
        group.size += 1
        self._size += 1
        return entry

    def remove(self, entry: ConnectionEntry) -> None:
        """Forget a connection, unless that was done before."""
        group = entry.group
        same = group.by_state[entry.state]
        if entry in same:
            del same[entry]
            group.size -= 1
            self._size -= 1
            if not group.size:
                del self._groups[group.address]

    def is_largest(self, address: str) -> bool:
        """Tell whether an address would have the most connections with one more."""
        own = self._groups.get(address)
        size = own.size + 1 if own is not None else 1
        return size >= self._largest()

    def _largest(self) -> int:
        return max((each.size for each in self._groups.values()), default=0)

    def dispensable(
        self, address: str | None = None, *, crowded: bool = False
    ) -> ConnectionEntry | None:
        """
        Return what makes room for a connection that has not asked yet; None if nothing may.

        Args:
            address: Where that one comes from; None if nobody knows.
            crowded: Look only at the address with the most connections.
        """
        own = self._groups.get(address) if address is not None else None
        size = own.size + 1 if own is not None else 1
        return self._least(own, size, GivesWay.TO_ANYBODY, self._largest() if crowded else 0)

    def outranked(self, asking: ConnectionEntry) -> ConnectionEntry | None:
        """
        Return what makes room for a connection that has just asked.

        That is the connection itself if its own address has the most, and nothing better; None
        if others have more, and all they have keeps its place, or while that is unclear: until
        the rest is read, there are a few more than there may be.
        """
        own = asking.group
        found = self._least(own, own.size, GivesWay.TO_A_REQUEST)
        last = own.size == self._largest() and not own.is_unclear
        return found or (asking if last else None)

    def _least(
        self, own: AddressGroup | None, size: int, whom: GivesWay, at_least: int = 0
    ) -> ConnectionEntry | None:
        # Of addresses with as many, the newcomer's own comes first: it has the more with it.
        sizes = [(size if each is own else each.size, each) for each in self._groups.values()]
        rivals = [(n, each is own, each) for n, each in sizes if n >= max(size, at_least)]
        rivals.sort(key=lambda rival: rival[:2], reverse=True)
        return next((found for *_, each in rivals if (found := each.least(whom))), None)

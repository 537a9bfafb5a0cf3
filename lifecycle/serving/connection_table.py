"""
The connections of a server, with their states, and the choice of the one that makes room.

Rules of this file:

1. A connection's state is set in one place, `ConnectionEntry.become`, with the time of the change.
   The consequences of a state are in `connection_states`.
2. The address with the most connections makes room first, so that a crowd from one address harms
   no other. A connection that has sent its request makes room only for another one that has.
3. The choice uses counters, and does not search all connections.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Final

from lifecycle.serving.connection_states import (
    GIVE_WAY,
    NEW_TIME,
    NEXT,
    REUSE_TIME,
    RULES,
    ConnEvent,
    ConnState,
    GivesWay,
    Rules,
)

LOOKS: Final = 16
"""How many of the oldest connections are checked for one without unread bytes."""


class ConnectionEntry:
    """
    An accepted connection, from `accept` until its socket is closed.

    Attributes:
        address: The address of the client.
        state: The state.
        since: Since when, by the clock of the loop.
        abort: Closes the connection at once. Set by the code that accepts it.
        unread: Returns whether it has unread bytes.
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
        """The rules of its current state."""
        return RULES[self.state]

    @property
    def idle_from(self) -> float:
        """The time from which it may be closed if no request is running (clock of the loop)."""
        rules = RULES[self.state]
        if rules.young:
            return self.since + NEW_TIME
        return self.since + REUSE_TIME if rules.kept and not self.table.ends else self.since

    def note(self, event: ConnEvent) -> None:
        """Apply an event."""
        self.become(NEXT[self.state][event])

    def become(self, state: ConnState) -> None:
        """Set the state. CLOSED is final."""
        if self.state in (state, ConnState.CLOSED):
            return
        by_state = self.group.by_state
        if self in by_state[self.state]:
            del by_state[self.state][self]
            by_state[state][self] = None
        self.state = state
        self.since = self.table.clock()


class AddressGroup:
    """All connections from one address, by state, the oldest first."""

    __slots__ = ("address", "by_state", "size")

    def __init__(self, address: str) -> None:
        self.address = address
        self.size = 0
        self.by_state: dict[ConnState, dict[ConnectionEntry, None]] = {
            each: {} for each in ConnState
        }

    def least(self, whom: GivesWay) -> ConnectionEntry | None:
        """Return the oldest connection of the lowest state, but none that has unread bytes."""
        for state in GIVE_WAY[whom]:
            for each in itertools.islice(self.by_state[state], LOOKS):
                if not RULES[state].waits or not each.unread():
                    return each
            if len(self.by_state[state]) > LOOKS:
                return None  # one that was not looked at may have less to lose than who has asked
        return None

    @property
    def is_unclear(self) -> bool:
        """True while so many connections have unread bytes that the idle ones are not known."""
        return any(len(self.by_state[state]) > LOOKS for state in RULES if RULES[state].waits)


class ConnectionTable:
    """
    The connections of one server.

    Args:
        clock: The monotonic clock, in seconds.

    Attributes:
        ends: Set once the server ends. Answered connections are then idle at once.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.ends = False
        self._size = 0
        self._groups: dict[str, AddressGroup] = {}

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[ConnectionEntry]:
        """Iterate over the current connections. The table may change meanwhile."""
        groups = self._groups.values()
        return iter([each for group in groups for some in group.by_state.values() for each in some])

    def add(self, address: str) -> ConnectionEntry:
        """Add a new connection."""
        group = self._groups.get(address)
        if group is None:
            group = self._groups[address] = AddressGroup(address)
        entry = ConnectionEntry(self, group)
        group.by_state[entry.state][entry] = None
        group.size += 1
        self._size += 1
        return entry

    def remove(self, entry: ConnectionEntry) -> None:
        """Remove a connection, if it is there."""
        group = entry.group
        same = group.by_state[entry.state]
        if entry in same:
            del same[entry]
            group.size -= 1
            self._size -= 1
            if not group.size:
                del self._groups[group.address]

    def is_largest(self, address: str) -> bool:
        """Return whether an address would have the most connections with one more."""
        own = self._groups.get(address)
        size = own.size + 1 if own is not None else 1
        return size >= self._largest()

    def _largest(self) -> int:
        return max((each.size for each in self._groups.values()), default=0)

    def dispensable(
        self, address: str | None = None, *, crowded: bool = False
    ) -> ConnectionEntry | None:
        """
        Return the connection that makes room for one without a request, or None if none may.

        Args:
            address: The address of the new connection, or None if it is not known.
            crowded: Consider only the address with the most connections.
        """
        own = self._groups.get(address) if address is not None else None
        size = own.size + 1 if own is not None else 1
        return self._least(own, size, GivesWay.TO_ANYBODY, self._largest() if crowded else 0)

    def outranked(self, asking: ConnectionEntry) -> ConnectionEntry | None:
        """
        Return the connection that makes room for one that has just sent a request.

        The result is the connection itself if its own address has the most connections, and no
        other one may be cut. The result is None if other addresses have more, and all of theirs
        keep their place.
        The result is also None while so many requests are not read yet that the choice is unclear.
        Until then, there are a few more connections than there may be.
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

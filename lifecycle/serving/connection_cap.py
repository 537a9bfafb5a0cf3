"""How many connections a server has at a time, and that the next one finds room."""

from __future__ import annotations

from typing import Final

from lifecycle.serving.connection_table import ConnectionEntry, ConnectionTable

RESERVE: Final = 8
"""One in so many places is kept beyond the cap for who has not asked, so that it may."""


class ConnectionCap:
    """
    The cap of one server.

    Args:
        table: Its connections.
        most: How many there may be; None: any number.
    """

    def __init__(self, table: ConnectionTable, most: int | None) -> None:
        self._table = table
        self._most = most

    def has_room(self, address: str) -> bool:
        """Find room for a connection that has just been accepted; False if there is none."""
        if self._most is None or len(self._table) < self._most:
            return True
        # Whoever has the most has half of the reserve, and cannot take it all.
        reserve = max(self._most // RESERVE, 2) // (2 if self._table.is_largest(address) else 1)
        return (
            self.make_room(address, crowded=True)
            or len(self._table) < self._most + reserve
            or self.make_room(address)
        )

    def make_room(self, address: str | None = None, *, crowded: bool = False) -> bool:
        """Cut what has least to lose; False if nothing may be cut. See `dispensable`."""
        least = self._table.dispensable(address, crowded=crowded)
        if least is not None:
            self.cut(least)
        return least is not None

    def has_room_to_ask(self, entry: ConnectionEntry) -> bool:
        """Find room for a connection that has asked; False if there is none, and it is cut."""
        if self._most is None or len(self._table) <= self._most:
            return True
        least = self._table.outranked(entry)
        if least is not None:
            self.cut(least)
        return least is not entry

    def cut(self, entry: ConnectionEntry) -> None:
        """Close a connection at once; it counts no more."""
        self._table.remove(entry)
        entry.abort()

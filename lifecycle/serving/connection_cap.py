"""The limit on the number of connections, and making room for the next one."""

from __future__ import annotations

from typing import Final

from lifecycle.serving.connection_table import ConnectionEntry, ConnectionTable

RESERVE: Final = 8
"""One extra place for every so many, for connections that have not sent a request yet."""


class ConnectionCap:
    """
    The connection limit of one server.

    Args:
        table: The connections of the server.
        most: The limit, or None for no limit.
    """

    def __init__(self, table: ConnectionTable, most: int | None) -> None:
        self._table = table
        self._most = most

    def has_room(self, address: str) -> bool:
        """Make room for a new connection. Returns False if there is no room."""
        if self._most is None or len(self._table) < self._most:
            return True
        # The address with the most connections gets only half of the reserve.
        reserve = max(self._most // RESERVE, 2) // (2 if self._table.is_largest(address) else 1)
        return (
            self.make_room(address, crowded=True)
            or len(self._table) < self._most + reserve
            or self.make_room(address)
        )

    def make_room(self, address: str | None = None, *, crowded: bool = False) -> bool:
        """Cut the connection with least to lose (`dispensable`). Returns False if there is none."""
        least = self._table.dispensable(address, crowded=crowded)
        if least is not None:
            self.cut(least)
        return least is not None

    def has_room_to_ask(self, entry: ConnectionEntry) -> bool:
        """Make room for a connection that has sent a request. If there is none, cut it: False."""
        if self._most is None or len(self._table) <= self._most:
            return True
        least = self._table.outranked(entry)
        if least is not None:
            self.cut(least)
        return least is not entry

    def cut(self, entry: ConnectionEntry) -> None:
        """Close a connection at once, and remove it from the table."""
        self._table.remove(entry)
        entry.abort()

"""
The requests of workers that came after the drain start, for the report.

A worker reports such a request at its end, because only then it is certain that the request counts.
So a request with which its worker dies is not reported. Rules of this file:

1. If it is known when such a request came, it counts as a request of an unknown client. Then
   nothing is reported about connections, see `lifecycle.drain.late_arrivals`.
2. If this is not known, or if a worker could not report a request, nothing is reported at all.
   Otherwise the report could say that nothing came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from lifecycle.drain.elsewhere import Seen
from lifecycle.drain.late_arrivals import UNKNOWN, ArrivalStatus
from lifecycle.instrumentation.lifecycle_worker.board import Board, Slot

LATE: Final = b"late "
"""The beginning of a line about a request that came after the drain start."""


class Located(NamedTuple):
    """
    The requests in flight of a worker, as it has answered.

    Attributes:
        at: When it was asked.
        work: Its oldest requests.
        total: The number of all its requests.
    """

    at: float
    work: Sequence[Seen]
    total: int

    def has_all_until(self, newest_at: float) -> bool:
        """Return whether every request is known that came until a time."""
        seen_until = max([self.at, *(each.since for each in self.work)])
        return self.total <= len(self.work) and newest_at <= seen_until


class LateRequests:
    """
    Passes on the late requests of workers. On the app's loop, except `arrivals`.

    Args:
        board: The board of the workers.
        came: Stores a request, with its time and the client's end of its connection.
        is_monitor: Returns whether a user agent and a path are those of a health check.
    """

    def __init__(
        self,
        board: Board,
        came: Callable[[float, object], object],
        is_monitor: Callable[[str, str], bool],
    ) -> None:
        self._board = board
        self._came = came
        self._is_monitor = is_monitor
        self._missed = False

    def told(self, at: str, address: Sequence[str]) -> None:
        """Handle the line of a worker about a request: its time, and its client if it is known."""
        with suppress(ValueError, OverflowError):  # a line that was cut off
            peer = (address[0], int(address[1])) if len(address) == 2 else None
            self._came(float(at), peer)

    def missed(self) -> None:
        """Handle a worker whose slot was gone before its requests could be seen."""
        self._missed |= bool(self._board.draining_at)

    def left_in(self, slot: Slot, located: Located | None) -> None:
        """
        Handle the requests with which a worker has died.

        Args:
            slot: Its slot.
            located: Its last answer.
        """
        began = self._board.draining_at
        if not began or not slot.in_flight or slot.newest_at < began:
            return  # all of them came before the drain start
        if located is None or not located.has_all_until(slot.newest_at):
            self._missed = True
            return
        late = [each for each in located.work if each.since >= began and not self._is_check(each)]
        late.sort(key=lambda each: each.since, reverse=True)
        for each in late[: slot.in_flight]:  # the others have ended, and were reported
            self._came(each.since, None)

    def _is_check(self, seen: Seen) -> bool:
        return self._is_monitor(seen.agent, seen.name.partition(" ")[2])

    def arrivals(self) -> ArrivalStatus | None:
        """Return that nothing is known, or None if each request was passed on. From any thread."""
        return UNKNOWN if self._missed or self._board.late_lost else None

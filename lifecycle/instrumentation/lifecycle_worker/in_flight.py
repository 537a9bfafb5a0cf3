"""
What is in flight in a worker, counted at every request.

Nothing else of the instrumentation is done as often. So what counts are functions that have all
they need at hand: some for the thread of one loop, some for any number of threads.
"""

from __future__ import annotations

import _thread
import sys
from time import monotonic

from .board import ARRIVED_AT, BUSY_SINCE, DRAINING_AT, IN_FLIGHT, SERVED

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from .board import Slot

    class EndFrom(Protocol):
        """What counts a request no more that has come from somebody."""

        def __call__(
            self, key: object, agent: str, path: str, *, sent_away: bool = False
        ) -> None: ...

    Counting = tuple[Callable[[object], None], Callable[[object], None], EndFrom]
    """`begin`, `end` and `end_from`, as `Worker` has them."""


class InFlight:
    """
    The requests of one worker.

    Args:
        slot: Where their number is shown.
    """

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._begun: dict[object, float] = {}
        self._served = iter(range(1, sys.maxsize))
        # The collector may run anywhere, and what it finalizes may be a response: its end.
        self._lock = _thread.RLock()
        self._ignored: tuple[tuple[str, ...], frozenset[str]] | None = None

    def on_a_loop(self) -> Counting:
        """Return what counts on the thread of one loop."""
        begun, served, note, tell = self._begun, self._served, self._note, self._slot.board.tell
        whole, times = self._slot.board.whole, self._slot.board.real
        in_flight_at, served_at = self._slot.at + IN_FLIGHT, self._slot.at + SERVED

        def begin(key: object) -> None:
            begun[key] = monotonic()
            whole[in_flight_at] = len(begun)

        def end(key: object) -> None:
            if begun.pop(key, None) is not None:
                whole[served_at] = next(served)
                whole[in_flight_at] = len(begun)

        def end_from(key: object, agent: str, path: str, *, sent_away: bool = False) -> None:
            if times[DRAINING_AT] and key in begun and not sent_away:
                note(begun[key], agent, path)  # first: else it would be quiet between
            end(key)
            if times[DRAINING_AT] and not begun:
                tell("w")

        return begin, end, end_from

    def in_threads(self, capacity: int) -> Counting:
        """
        Return what counts in any number of threads.

        Args:
            capacity: How many requests are served at a time. Only once there are as many does
                anybody ask since when the oldest is.
        """
        begun, served, note, tell = self._begun, self._served, self._note, self._slot.board.tell
        whole, times = self._slot.board.whole, self._slot.board.real
        in_flight_at, served_at = self._slot.at + IN_FLIGHT, self._slot.at + SERVED
        show_oldest, lock = self._show_oldest, self._lock

        def begin(key: object) -> None:
            with lock:
                begun[key] = monotonic()
                many = len(begun)
                if many >= capacity:
                    show_oldest()  # first: who sees how many there are must see this too
                whole[in_flight_at] = many

        def end(key: object) -> None:
            with lock:
                if begun.pop(key, None) is not None:
                    whole[served_at] = next(served)
                    many = len(begun)
                    if many >= capacity:
                        show_oldest()
                    whole[in_flight_at] = many

        def end_from(key: object, agent: str, path: str, *, sent_away: bool = False) -> None:
            with lock:
                if times[DRAINING_AT] and key in begun and not sent_away:
                    # Only now does this thread look at who waits: that is as an arrival.
                    note(monotonic(), agent, path)
            end(key)
            if times[DRAINING_AT] and not begun:
                tell("w")

        return begin, end, end_from

    def _show_oldest(self) -> None:
        # No call: in one the collector might run, and what it finalizes change what there is.
        for since in self._begun.values():
            self._slot.board.real[self._slot.at + BUSY_SINCE] = since
            return

    def _counts(self, agent: str, path: str) -> bool:
        """Tell whether a request keeps a drain from being quiet: a health check does not."""
        if self._ignored is None:
            known = self._slot.board.ignored
            paths = frozenset(each for each in known if each.startswith("/"))
            self._ignored = (tuple(each for each in known if each not in paths), paths)
        agents, paths = self._ignored
        return path not in paths and not (agent and agent.startswith(agents))

    def _note(self, at: float, agent: str, path: str) -> None:
        slot = self._slot
        if at >= slot.board.draining_at and self._counts(agent, path):
            where = slot.at + ARRIVED_AT
            slot.board.real[where] = max(slot.board.real[where], at)
            slot.set_text(disturber=agent or "(no user agent)")

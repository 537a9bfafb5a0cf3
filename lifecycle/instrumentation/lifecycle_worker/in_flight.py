"""
The requests in flight in a worker: counted at every request, or shown at every heartbeat.

No other code of the instrumentation runs as often. The counting functions are therefore closures
with everything they need: one set for the thread of one loop, one for any number of threads.

A server with a heartbeat does not even call these while clients may stay. It keeps a set of its
running requests, and each heartbeat shows how many there are. The first heartbeat after clients are
told to go counts them: at the drain start, or when every app service is offline.
"""

from __future__ import annotations

import _thread
import sys
from _operator import length_hint  # operator itself takes time to import
from time import monotonic

from .board import (
    ARRIVED_AT,
    BUSY_SINCE,
    DRAINING_AT,
    GO_AT,
    IN_FLIGHT,
    LAST_AGE,
    LAST_AT,
    LATE_LOST,
    NEWEST_AT,
    OLDEST_AT,
    SERVED,
)

MOST = sys.maxsize
MOST_NAMED = 1000
"""The most tasks whose words are looked up at the drain start, because this takes time."""
A_MOMENT = 1e-6
"""Seconds between the last request that came before the drain start, and the drain start."""
LATE_SIZE = 120
"""Characters of a line about a request. An address is shorter."""
TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from .board import Slot

    class EndFrom(Protocol):
        """The function that ends the counting of a request, with details about its client."""

        def __call__(
            self, key: object, agent: str, path: str, *, sent_away: bool = False, peer: Any = None
        ) -> None: ...

    Counting = tuple[Callable[[object], None], Callable[[object], None], EndFrom]
    """The functions `begin`, `end` and `end_from` of `Worker`."""


class InFlight:
    """
    The requests of one worker.

    Args:
        slot: The slot that shows their number.
    """

    def __init__(self, slot: Slot) -> None:
        from . import words  # only in a process that serves, because it takes time

        self._words = words
        self._slot = slot
        self._begun: dict[object, float] = {}
        self._served = iter(range(1, MOST))
        self.comes: Callable[[], object] = self._served.__next__
        """Counts a request as served that is not counted elsewhere."""
        self.under_way: set[object] = set()
        """The running requests while clients may stay, which are only shown at the heartbeats."""
        self._others = 0
        self._seen_at: dict[object, float] = {}
        """When a heartbeat has first seen each request that is only in a set."""
        self._looked_at = monotonic()
        self._words_at_start: dict[object, Any] = {}
        """The words of tasks that are counted later. A task has none when it has ended."""
        self._kept: set[object] = set()
        """The requests that were only in a set at first, and are counted now."""
        self._capacity = 0
        self._seen = -1
        # The garbage collector may run anywhere, and may finalize a response, which ends it.
        self._lock = _thread.RLock()
        self._ignored: tuple[tuple[str, ...], frozenset[str]] | None = None

    def on_a_loop(self) -> Counting:
        """Return the counting functions for the thread of one loop."""
        begun, served, note, tell = self._begun, self._served, self._note, self._slot.board.tell
        last = self._note_last
        whole, times = self._slot.board.whole, self._slot.board.real
        in_flight_at, served_at = self._slot.at + IN_FLIGHT, self._slot.at + SERVED
        newest_at = self._slot.at + NEWEST_AT

        def begin(key: object) -> None:
            begun[key] = times[newest_at] = monotonic()
            whole[in_flight_at] = len(begun) + self._others

        def end(key: object) -> None:
            if begun.pop(key, None) is not None:
                whole[served_at] = next(served)
                whole[in_flight_at] = len(begun) + self._others

        def end_from(
            key: object, agent: str, path: str, *, sent_away: bool = False, peer: Any = None
        ) -> None:
            if times[GO_AT] and key in begun:
                self._report(begun[key], agent, path, peer)
                if not sent_away:
                    note(begun[key], agent, path)  # first: else it would be quiet between
                    last(key, begun[key])
            end(key)
            if times[GO_AT] and not begun:
                tell("w")

        return begin, end, end_from

    def look(self, tasks: Sequence[Any], *, count: bool) -> None:
        """
        Show how many requests are in flight, or count them. At each heartbeat, in its thread.

        Args:
            tasks: More running tasks of the server. They were passed to `comes`, and have a
                callback for their end.
            count: Whether every request is counted individually now.
        """
        current = {*self.under_way.copy(), *tasks}
        self._see(current)
        kept = current if count else set()
        self._count(kept - self._kept)
        for key in self._kept - kept:  # it has ended, or connections need not close any more
            self.forget(key)
        self._kept = kept
        self._others = 0 if count else len(self.under_way) + len(tasks)
        board, at = self._slot.board, self._slot.at
        served = max(0, MOST - 1 - length_hint(self._served) - len(tasks))
        with self._lock:
            many = len(self._begun) + self._others
            full = many >= self._capacity > 0 and (self._others or kept)
            if full and served != self._seen:
                board.real[at + BUSY_SINCE] = monotonic()  # since then none has ended
            self._seen = served if full else -1
            board.whole[at + SERVED] = served
            board.whole[at + IN_FLIGHT] = many
            kinds = self._begun, self._seen_at  # each in the order in which they have started
            oldest = min((next(iter(each.values())) for each in kinds if each), default=0.0)
            board.real[at + OLDEST_AT] = oldest

    def _see(self, current: set[Any]) -> None:
        """Note when each request was first seen. The loops are over what has changed."""
        seen, self._looked_at = self._seen_at, monotonic()
        for key in seen.keys() - current:
            del seen[key]
        for key in current - seen.keys():
            seen[key] = self._looked_at

    def since(self, tasks: Sequence[Any]) -> dict[object, float]:
        """
        Return the requests in flight, and when each one has started. From any thread.

        Before the drain start, the time of some of them may be a quarter of a second too late.

        Args:
            tasks: More running tasks of the server, as in `look`.
        """
        found = self._begun.copy()
        for key in (*self.under_way.copy(), *tasks):
            found.setdefault(key, self._seen_at.get(key, self._looked_at))
        return found

    def _count(self, kept: set[Any]) -> None:
        # They came before the drain start, although they may have been seen only after it.
        began = self._slot.board.real[DRAINING_AT]
        latest = began - A_MOMENT if began else MOST
        for key in sorted(kept, key=self._seen_at.__getitem__):
            with self._lock:
                self._begun[key] = min(self._seen_at[key], latest)
            if key in self.under_way:
                continue
            if hasattr(key, "add_done_callback"):
                if len(self._words_at_start) < MOST_NAMED:
                    self._words_at_start[key] = self._words.words_of(key)
                key.add_done_callback(self.forget)
            else:  # its thread has ended it meanwhile
                self.forget(key)

    def forget(self, key: object) -> None:
        """Stop counting a request that was only in a set at first. It is not an arrival."""
        began = self._begun.get(key)
        if began is not None:
            self._note_last(key, began)
        with self._lock:
            if self._begun.pop(key, None) is not None:
                self._slot.board.whole[self._slot.at + IN_FLIGHT] = len(self._begun) + self._others
        if self._slot.board.real[GO_AT] and not self._begun:
            self._slot.board.tell("w")

    def in_threads(self, capacity: int) -> Counting:
        """
        Return the counting functions for any number of threads.

        Args:
            capacity: How many requests are served at a time. Only once so many are running, the
                time since one of them has started or ended matters.
        """
        self._capacity = capacity
        begun, served, note, tell = self._begun, self._served, self._note, self._slot.board.tell
        last = self._note_last
        whole, times = self._slot.board.whole, self._slot.board.real
        in_flight_at, served_at = self._slot.at + IN_FLIGHT, self._slot.at + SERVED
        busy_at, lock = self._slot.at + BUSY_SINCE, self._lock
        oldest_at, newest_at = self._slot.at + OLDEST_AT, self._slot.at + NEWEST_AT

        def begin(key: object) -> None:
            with lock:
                begun[key] = times[newest_at] = now = monotonic()
                times[oldest_at] = next(iter(begun.values()))
                many = len(begun) + self._others
                if many == capacity or (many > capacity and self._others):
                    times[busy_at] = now  # first, because a reader of the count must see this too
                whole[in_flight_at] = many

        def end(key: object) -> None:
            with lock:
                if begun.pop(key, None) is not None:
                    whole[served_at] = next(served)
                    times[oldest_at] = next(iter(begun.values()), 0.0)
                    many = len(begun) + self._others
                    if many >= capacity:
                        times[busy_at] = monotonic()
                    whole[in_flight_at] = many

        def end_from(
            key: object, agent: str, path: str, *, sent_away: bool = False, peer: Any = None
        ) -> None:
            with lock:
                if times[GO_AT] and key in begun:
                    self._report(begun[key], agent, path, peer)
                    if not sent_away:
                        # Only now this thread looks at waiting clients, which is like an arrival.
                        note(monotonic(), agent, path)
                        last(key, begun[key])
            end(key)
            if times[GO_AT] and not begun:
                tell("w")

        return begin, end, end_from

    def _counts(self, agent: str, path: str) -> bool:
        """Return whether a request delays the quiet period of a drain. A health check does not."""
        if self._ignored is None:
            known = self._slot.board.ignored
            paths = frozenset(each for each in known if each.startswith("/"))
            self._ignored = (tuple(each for each in known if each not in paths), paths)
        agents, paths = self._ignored
        return path not in paths and not (agent and agent.startswith(agents))

    def _report(self, at: float, agent: str, path: str, peer: Any) -> None:
        """
        Send a request to the parent, which finds out whether its connection is new.

        The peer is the client's end of the connection, None if unknown, or False if this is no
        request of its own.
        """
        board = self._slot.board
        began = board.draining_at
        if peer is False or not began or at < began or not self._counts(agent, path):
            return
        try:
            host, port = peer[0], peer[1]
            told = board.tell(f"late {at:.6f} {host} {int(port)}"[:LATE_SIZE])
        except (TypeError, ValueError, IndexError):  # a Unix socket, or a server that has none
            told = board.tell(f"late {at:.6f}")
        if not told:
            board.whole[LATE_LOST] = 1

    def _note(self, at: float, agent: str, path: str) -> None:
        slot = self._slot
        if at >= slot.board.go_at and self._counts(agent, path):
            where = slot.at + ARRIVED_AT
            slot.board.real[where] = max(slot.board.real[where], at)
            slot.set_text(disturber=agent or "(no user agent)")

    def _note_last(self, key: object, began: float) -> None:
        """Show a request as the one that ended last in a drain, unless it is a health check."""
        known, slot = self._words_at_start.pop(key, None), self._slot
        if not slot.board.draining_at:
            return
        words = known or self._words.words_of(key)
        if self._counts(words[2], words[1]):
            now = monotonic()
            slot.set_text(last=self._words.name_of(words))
            slot.board.real[slot.at + LAST_AGE] = now - began
            slot.board.real[slot.at + LAST_AT] = now

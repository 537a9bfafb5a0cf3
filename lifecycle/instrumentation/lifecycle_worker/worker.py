"""This process as a worker: its slot, what is in flight in it, and its heartbeat."""

from __future__ import annotations

import _thread
import os
import sys
from _thread import get_ident  # the thread, also once gevent has patched it
from time import monotonic

from .board import (
    ARRIVED_AT,
    AWAKE_SINCE,
    BEAT_AT,
    BUSY_SINCE,
    CAPACITY,
    DRAINING_AT,
    GO_AT,
    IN_FLIGHT,
    SERVED,
    SERVING,
    STATE,
    Board,
    NoBoard,
    Slot,
)
from .orphan import Orphan

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

BEAT = 0.25
"""Seconds between two heartbeats of a loop."""
PAUSE = 2 * BEAT
"""Seconds without a heartbeat after which a loop does not come round."""


def warn(text: str) -> None:
    """Say what did not work, on one line of stderr."""
    try:
        sys.stderr.write("lifecycle: " + " ".join(text.split()) + "\n")
        sys.stderr.flush()
    except Exception:  # noqa: S110 - there may be no stderr, and that is nobody's trouble
        pass


class Worker:
    """
    What a server's file speaks to. There is one in a process, `worker`.

    Without a board, or in a process that serves nothing, everything does nothing.

    `begin` and `end` may be called from any thread if the worker has a capacity, else from its
    loop's thread only.
    """

    def __init__(self) -> None:
        self.board: Board | None = None
        self.slot: Slot | None = None
        self.times = memoryview(bytes(8 * (GO_AT + 1))).cast("d")
        """The board's times: what is asked at every request looks at `times[DRAINING_AT]` and `times[GO_AT]`."""
        self.on_serving: Callable[[], object] = lambda: None
        """Called once this process has a slot."""
        self.app_begins = False
        """Whether the app is just beginning: what serves by now is a server of its own, for metrics."""
        self.closers: dict[Callable[[], object], int] = {}
        """
        What closes idle connections, and the thread that each belongs to: called at each heartbeat
        of that thread once the settle time is over.
        """
        self._beating: set[Any] = set()
        self._main = self._owner = get_ident()
        """The main thread, and that of the server that counts."""
        self._begun: dict[object, float] = {}
        self._served = 0
        self._lock: Any = None
        self._ignored: tuple[tuple[str, ...], frozenset[str]] | None = None
        self._said: set[str] = set()
        self._orphan: Orphan | None = None

    # The start

    def open(self, path: str) -> None:
        """
        Map the board: at the interpreter's start, while this process may still open it.

        Raises:
            NoBoard: It is not to be had.
        """
        self.board = Board(path)
        self.times = self.board.real
        self.board.tell(f"hello {os.getpid()}")
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        self.slot = self._lock = self._orphan = None  # they are the parent's
        self._begun = {}
        self._served = 0
        self.closers, self._beating = {}, set()
        self._main = get_ident()

    def expects(self, server: str) -> None:
        """Say that a server was imported: from now on only a worker's word counts as serving."""
        if self.board is not None:
            self.board.tell(f"expects {server} {os.getpid()}")

    def fails(self, server: str) -> None:
        """Say that a server cannot be made to tell anything: nobody is to wait for its word."""
        if self.board is not None:
            self.board.tell(f"fails {server} {os.getpid()}")

    def serves(self, server: str, capacity: int = 0) -> bool:
        """
        Say that this process serves: called where a server's worker begins to accept.

        An app may have a small server of its own, for metrics, and starts it before it is served
        itself. So the last server counts, and one of the main thread rather than another; while
        the app is beginning, none does.

        Args:
            server: The server's name, as `/status` shows it.
            capacity: How many requests it serves at a time, each in a thread; 0 if a loop
                serves all of them.

        Returns:
            True if it is on the board.
        """
        board = self.board
        if board is None or self.app_begins:
            return False
        if self.slot is None:
            slot = board.claim(monotonic())
            if slot is None:
                self.complain("there are too many workers: this one is not counted")
                return False
            self.slot = slot
            self._owner = 0
            self._orphan = Orphan(board)
        slot = self.slot
        if capacity and self._lock is None:
            self._lock = _thread.allocate_lock()
        if self._owner != self._main or get_ident() == self._main:
            self._owner = get_ident()
            slot.set_text(server=server)
            board.whole[slot.at + CAPACITY] = capacity
        board.whole[slot.at + STATE] = SERVING
        board.tell(f"serves {os.getpid()}")
        self.on_serving()
        return True

    # The drain

    @property
    def draining(self) -> bool:
        """True while clients are to be told to go: from T0 on, and while all is held offline."""
        return self.times[GO_AT] > 0

    @property
    def settled(self) -> bool:
        """True once consumers have had time to notice: what is idle is to be closed."""
        board = self.board
        return board is not None and 0 < board.settled_at <= monotonic()

    def counts(self, agent: str, path: str) -> bool:
        """
        Tell whether a request keeps a drain from being quiet: a health check does not.

        Args:
            agent: Its user agent.
            path: What it asks for.
        """
        if self._ignored is None:
            known = self.board.ignored if self.board is not None else ()
            paths = frozenset(each for each in known if each.startswith("/"))
            self._ignored = (tuple(each for each in known if each not in paths), paths)
        agents, paths = self._ignored
        return path not in paths and not (agent and agent.startswith(agents))

    # What is in flight

    def begin(self, key: object) -> None:
        """
        Count a request, until `end` is called with the same key.

        Args:
            key: Anything that no other request under way has.
        """
        slot = self.slot
        if slot is None:
            return
        begun = self._begun
        if self._lock is None:
            begun[key] = monotonic()
            slot.board.whole[slot.at + IN_FLIGHT] = len(begun)
            return
        with self._lock:
            begun[key] = monotonic()
            self._stamp(slot)

    def end(self, key: object, agent: str = "", path: str = "", *, sent_away: bool = False) -> None:
        """
        Count a request no more. What comes from T0 on is an arrival, unless it is a health check.

        Args:
            key: As at `begin`. One that is not counted is passed over.
            agent: Its user agent; looked at only from T0 on, so it need not be given before.
            path: What it has asked for, without the query; likewise.
            sent_away: Its client was told to go at once: that is no arrival.
        """
        slot = self.slot
        if slot is None:
            return
        begun = self._begun
        if self._lock is None:
            began = begun.pop(key, None)
            if began is None:
                return
            whole, at = slot.board.whole, slot.at
            self._served = whole[at + SERVED] = self._served + 1
            if self.times[DRAINING_AT]:  # first the arrival: else it would be quiet between
                self._note(slot, began, agent, path, sent_away=sent_away)
            whole[at + IN_FLIGHT] = len(begun)
        else:
            with self._lock:
                began = begun.pop(key, None)
                if began is None:
                    return
                self._served = slot.board.whole[slot.at + SERVED] = self._served + 1
                if self.times[DRAINING_AT]:
                    # Only now does this thread look at who waits: that is as an arrival.
                    self._note(slot, monotonic(), agent, path, sent_away=sent_away)
                self._stamp(slot)
        if self.times[DRAINING_AT] and not begun:
            slot.board.tell("w")

    def _stamp(self, slot: Slot) -> None:
        at, begun = slot.at, self._begun
        slot.board.whole[at + IN_FLIGHT] = len(begun)
        slot.board.real[at + BUSY_SINCE] = next(iter(begun.values()), 0.0)

    def _note(self, slot: Slot, at: float, agent: str, path: str, *, sent_away: bool) -> None:
        if sent_away or at < slot.board.draining_at or not self.counts(agent, path):
            return
        where = slot.at + ARRIVED_AT
        slot.board.real[where] = max(slot.board.real[where], at)
        slot.set_text(disturber=agent or "(no user agent)")

    # The heartbeat

    def closes(self, close_idle: Callable[[], object]) -> None:
        """Have idle connections be closed by this, at the heartbeats of the thread that says so."""
        self.closers[close_idle] = get_ident()

    def beat(self) -> None:
        """Stamp the heartbeat, and close what is idle if it is time; on the loop."""
        slot = self.slot
        if slot is None:
            return
        now, real, at = monotonic(), slot.board.real, slot.at
        if get_ident() == self._owner:
            if now - real[at + BEAT_AT] > PAUSE:
                real[at + AWAKE_SINCE] = now  # first: who sees the new beat must see this too
            real[at + BEAT_AT] = now
        if self._orphan is not None:
            self._orphan.look(now)
        if self.draining:
            slot.board.tell("w")  # the drain waits for who has not looked at his sockets lately
        if self.closers and self.settled:
            self._close_idle()

    def _close_idle(self) -> None:
        for close_idle, thread in tuple(self.closers.items()):
            if thread != get_ident():
                continue
            try:
                close_idle()
            except Exception as error:
                self.complain(f"idle connections are not closed: {error!r}")
                self.closers.pop(close_idle, None)

    def turn(self) -> None:
        """Beat, unless it has lately: for a loop that comes round as often as something comes."""
        slot = self.slot
        if slot is not None and monotonic() - slot.beat_at >= BEAT:
            self.beat()

    def watch_parent(self) -> None:
        """Wait for the parent's end in a thread: for a server that has threads, and no heartbeat."""
        if self._orphan is not None:
            _thread.start_new_thread(self._orphan.watch, ())

    def beat_on(self, loop: Any) -> None:
        """Beat on an asyncio loop for as long as it runs; called on it, after `serves`."""
        slot = self.slot
        if loop in self._beating:
            return
        self._beating.add(loop)

        def beat() -> None:
            if self.slot is slot is not None:
                self.beat()
                loop.call_later(BEAT, beat)

        beat()

    def complain(self, text: str) -> None:
        """Warn, once of each thing."""
        if text not in self._said:
            self._said.add(text)
            warn(text)


worker = Worker()
"""This process."""

__all__ = ["BEAT", "NoBoard", "Worker", "warn", "worker"]

"""This process as a worker: its slot, what is in flight in it, and its heartbeat."""

from __future__ import annotations

import os
import sys
from _thread import get_ident, start_new_thread  # threads, also once gevent has patched it
from time import monotonic

from .board import (
    AWAKE_SINCE,
    BEAT_AT,
    CAPACITY,
    GO_AT,
    SERVING,
    STATE,
    Board,
    NoBoard,
    Slot,
)
from .early_signals import InheritedHandler, have_noted
from .in_flight import InFlight
from .orphan import Orphan

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .in_flight import EndFrom

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


def _count_nothing(*_: object, **_named: object) -> None:
    """Do nothing: this process serves nothing."""


class Worker:
    """
    What a server's file speaks to. There is one in a process, `worker`.

    Without a board, or in a process that serves nothing, everything does nothing.
    """

    def __init__(self) -> None:
        self.board: Board | None = None
        self.slot: Slot | None = None
        self.times = memoryview(bytes(8 * (GO_AT + 1))).cast("d")
        """The board's times: what is asked at every request looks at `times[DRAINING_AT]` and `times[GO_AT]`."""
        self.on_serving: Callable[[], object] = lambda: None
        """Called once this process has a slot."""
        self.on_loading: Callable[[], object] = lambda: None
        """Called before a server loads the app: what is started from then on is the app's own."""
        self.closers: dict[Callable[[], object], int] = {}
        """
        What closes idle connections, and the thread that each belongs to: called at each heartbeat
        of that thread once the settle time is over.
        """
        self._tasks: dict[Callable[[], list[Any]], int] = {}
        """What knows the requests that a server keeps itself, and the thread it belongs to."""
        self.begin: Callable[[object], None] = _count_nothing
        """
        Counts a request, until `end` is called with the same key: anything that no other request
        under way has. Both may be called from any thread if the worker has a capacity, else from
        its loop's thread only.
        """
        self.end: Callable[[object], None] = _count_nothing
        """Counts a request no more. A key that is not counted is passed over."""
        self.end_from: EndFrom = _count_nothing
        """
        The same from T0 on, and before it too: the request was an arrival, unless it is a health
        check, by its user agent or its path without the query, or its client was `sent_away` at
        once.
        """
        self.keeper = 0
        """The thread of the server that counts, if it has a heartbeat."""
        self.under_way: set[object] = set()
        """
        What is under way of a server whose thread is the `keeper`, before T0. Instead of `begin`
        and `end` it may put a request in here and take it out, call `comes`, and, if it is T0 by
        then, `forget`.
        """
        self.comes: Callable[[], object] = _count_nothing
        """Counts a request as served that is not counted with `begin`."""
        self.forget: Callable[[object], None] = _count_nothing
        """Counts a request no more that was under way at T0, if it is counted by now."""
        self.next_beat = 0.0
        """When the heartbeat is due, for loops that come round as often as something comes."""
        self._beating: set[Any] = set()
        self._main = self._owner = get_ident()
        """The main thread, and that of the server that counts."""
        self._in_flight: InFlight | None = None
        self.failed: set[str] = set()
        """The servers that cannot be made to tell anything."""
        self._leader: object = None
        self._leads: Callable[[], bool] = lambda: False
        """Tells whether a server of the main thread is certain to serve, here or in a fork."""
        self._beginning: dict[int, int] = {}
        """How many apps are just beginning, by the threads they begin in."""
        self._held: list[Callable[[], object]] = []
        """Says once more what came while it did not count."""
        self._said: set[str] = set()
        self._orphan: Orphan | None = None
        self._inherited: InheritedHandler | None = None

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
        self.slot = self._in_flight = self._orphan = None  # they are the parent's
        self.begin = self.end = self.end_from = self.comes = self.forget = _count_nothing
        self.closers, self._tasks, self._beating = {}, {}, set()
        self.under_way, self.keeper = set(), 0
        self._beginning, self._held = {}, []
        self._main = get_ident()
        self._inherited = InheritedHandler()

    def expects(self, server: str) -> None:
        """Say that a server was imported: from now on only a worker's word counts as serving."""
        if self.board is not None and not self._is_aside(get_ident()):
            self.board.tell(f"expects {server} {os.getpid()}")

    def fails(self, server: str) -> None:
        """Say that a server cannot be made to tell anything: nobody is to wait for its word."""
        self.failed.add(server.partition(" ")[0])
        if self.board is not None:
            self.board.tell(f"fails {server} {os.getpid()}")

    def leads(self, who: object, is_known: Callable[[], bool]) -> None:
        """
        Say that a server of the main thread is certain to serve: until it does, nobody else counts.

        Who says so from another thread serves there, and nobody waits for the main thread any more.

        Args:
            who: It, or what it serves by.
            is_known: Tells whether it is one that says `serves`; asked when somebody else does.
        """
        if get_ident() == self._main:
            self._leader, self._leads = who, is_known
        elif who is self._leader:
            self._leads = lambda: False

    def _is_aside(self, thread: int) -> bool:
        return self.slot is None and thread != self._main and self._leads()

    def begins(self) -> None:
        """Say that an app is just beginning in this thread: what serves by now is its own."""
        thread = get_ident()
        self._beginning[thread] = self._beginning.get(thread, 0) + 1

    def has_begun(self) -> None:
        """Say that this app is not beginning any more: once for each `begins`."""
        thread = get_ident()
        left = self._beginning.get(thread, 0) - 1
        if left > 0:
            self._beginning[thread] = left
            return
        self._beginning.pop(thread, None)
        self._say_held()

    def _say_held(self) -> None:
        held, self._held = self._held, []
        for say in held:
            try:
                say()
            except RuntimeError:  # its loop is closed
                pass

    def serves(
        self, server: str, capacity: int = 0, again: Callable[[], object] | None = None
    ) -> bool:
        """
        Say that this process serves: called where a server's worker begins to accept.

        An app may have a small server of its own, for metrics, and starts it before it is served
        itself. So the last server counts, and one of the main thread rather than another. While
        an app is beginning, none of its thread does, and none at all if that is the main thread.
        Nor does another thread's before that of a main thread that `leads`.

        Args:
            server: The server's name, as `/status` shows it.
            capacity: How many requests it serves at a time, each in a thread; 0 if a loop
                serves all of them.
            again: Called if it does not count yet, once it may.

        Returns:
            True if it is on the board.
        """
        if self.board is None:
            return False
        thread = get_ident()
        if self._waits(thread):
            self._held.append(again or (lambda: self._say_again(server, capacity, thread)))
            return False
        return self._say(server, capacity, thread)

    def _waits(self, thread: int) -> bool:
        if thread in self._beginning or self._main in self._beginning:
            return True
        return self._is_aside(thread)

    def _say_again(self, server: str, capacity: int, thread: int) -> None:
        if self.slot is None and not self._is_aside(thread):
            self._say(server, capacity, thread)

    def _say(self, server: str, capacity: int, thread: int) -> bool:
        board = self.board
        if board is None:
            return False
        if self.slot is None:
            slot = board.claim(monotonic())
            if slot is None:
                self.complain("there are too many workers: this one is not counted")
                return False
            self.slot = slot
            self._owner = 0
            self._orphan = Orphan(board)
            self._in_flight = InFlight(slot)
            self.begin, self.end, self.end_from = self._in_flight.on_a_loop()
            self.under_way, self.comes = self._in_flight.under_way, self._in_flight.comes
            self.forget = self._in_flight.forget
        slot = self.slot
        if capacity and self._in_flight is not None:
            self.begin, self.end, self.end_from = self._in_flight.in_threads(capacity)
        if self._owner != self._main or thread == self._main:
            self._owner, self.keeper = thread, 0
            slot.set_text(server=server)
            board.whole[slot.at + CAPACITY] = capacity
        board.whole[slot.at + STATE] = SERVING
        board.tell(f"serves {os.getpid()}")
        self.on_serving()
        self._say_held()
        inherited, self._inherited = self._inherited, None
        if inherited is not None:
            inherited.pass_on()
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

    # The heartbeat

    def closes(self, close_idle: Callable[[], object]) -> None:
        """Have idle connections be closed by this, at the heartbeats of the thread that says so."""
        self.closers[close_idle] = get_ident()

    def beat(self) -> None:
        """Stamp the heartbeat, and close what is idle if it is time; on the loop."""
        slot = self.slot
        if slot is None:
            return
        now, real, at, thread = monotonic(), slot.board.real, slot.at, get_ident()
        if self._in_flight is not None and thread == self._owner:
            self.keeper = thread
            here = [tasks for tasks, owner in tuple(self._tasks.items()) if owner == thread]
            self._in_flight.look([each for tasks in here for each in tasks()], count=self.draining)
        self.next_beat = now + BEAT
        if thread == self._owner:
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
        if monotonic() >= self.next_beat:
            self.beat()

    def watch_parent(self) -> None:
        """Wait for the parent's end in a thread: for a server that has threads, and no heartbeat."""
        if self._orphan is not None:
            start_new_thread(self._orphan.watch, ())

    def keeps(self, tasks: Callable[[], list[Any]]) -> None:
        """Have requests be shown that a server of this thread keeps itself: what this returns."""
        self._tasks[tasks] = get_ident()

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
        if get_ident() == self._main:
            loop.call_soon(have_noted, loop)

    def complain(self, text: str) -> None:
        """Warn, once of each thing."""
        if text not in self._said:
            self._said.add(text)
            warn(text)


worker = Worker()
"""This process."""

__all__ = ["BEAT", "NoBoard", "Worker", "warn", "worker"]

"""This process as a worker: its slot, its requests in flight, and its heartbeat."""

from __future__ import annotations

import os
import sys
from _thread import (
    allocate_lock,
    get_ident,
    start_new_thread,
)  # threads, also once gevent has patched it
from time import monotonic

from .board import (
    AWAKE_SINCE,
    BEAT_AT,
    CAPACITY,
    GO_AT,
    SERVING,
    STATE,
    TOLD_TO_GO,
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

    from .answers import Answers
    from .in_flight import EndFrom

BEAT = 0.25
"""Seconds between two heartbeats of a loop."""
PAUSE = 2 * BEAT
"""Seconds without a heartbeat after which a loop counts as blocked."""


def warn(text: str) -> None:
    """Print a warning on one line of stderr."""
    try:
        sys.stderr.write("lifecycle: " + " ".join(text.split()) + "\n")
        sys.stderr.flush()
    except Exception:  # noqa: S110 - there may be no stderr
        pass


def _count_nothing(*_: object, **_named: object) -> None:
    """Do nothing, because this process does not serve."""


class Worker:
    """
    The interface for the files of the servers. A process has one, `worker`.

    Without a board, or in a process that does not serve, every method does nothing.
    """

    def __init__(self) -> None:
        self.board: Board | None = None
        self.slot: Slot | None = None
        self.times = memoryview(bytes(8 * (GO_AT + 1))).cast("d")
        """The times of the board. What runs at every request reads `times[DRAINING_AT]` itself."""
        self.on_serving: Callable[[], object] = lambda: None
        """Called once this process has a slot."""
        self.on_loading: Callable[[], object] = lambda: None
        """Called before a server loads the app. Processes started later belong to the app."""
        self.closers: dict[Callable[[], object], int] = {}
        """The functions that close idle connections after the settle time, with their threads."""
        self._tasks: dict[Callable[[], list[Any]], int] = {}
        """The functions that return the running requests of a server, each with its thread."""
        self.begin: Callable[[object], None] = _count_nothing
        """
        Counts a request until `end` is called with the same key. The key is any value that no other
        running request has. With a capacity, both may be called from any thread, else only from the
        thread of the loop.
        """
        self.end: Callable[[object], None] = _count_nothing
        """Stops counting a request. An unknown key is ignored."""
        self.end_from: EndFrom = _count_nothing
        """
        Stops counting a request, with details about its client. While `draining`, the request was
        an arrival, unless its user agent or its path (without the query) is that of a health
        check, or its client was `sent_away` at once. `peer` is the client's end of the connection,
        as `(host, port)`.
        """
        self.keeper = 0
        """The thread of the server that counts, if it has a heartbeat."""
        self.under_way: set[object] = set()
        """
        The running requests of a server whose thread is the `keeper`, unless `draining`. It adds
        and removes them here, instead of `begin` and `end`, and calls `comes`. If it is `draining`
        meanwhile, it calls `forget`.
        """
        self.comes: Callable[[], object] = _count_nothing
        """Counts a request as served that is not counted with `begin`."""
        self.forget: Callable[[object], None] = _count_nothing
        """Stops counting a request that was running when `draining` began, if it is counted."""
        self.next_beat = 0.0
        """When the next heartbeat is due, for loops that turn at every arrival."""
        self._beating: set[Any] = set()
        self._main = self._owner = get_ident()
        """The main thread, and the thread of the server that counts."""
        self._in_flight: InFlight | None = None
        self._answers: Answers | None = None
        self.failed: set[str] = set()
        """The servers that cannot report anything."""
        self._leader: object = None
        self._leads: Callable[[], bool] = lambda: False
        """Returns whether a server of the main thread will certainly serve, here or in a fork."""
        self._beginning: dict[int, int] = {}
        """How many apps are starting, by thread."""
        self._held: list[Callable[[], object]] = []
        """Functions that report again what did not count at first."""
        self._said: set[str] = set()
        self._telling = allocate_lock()
        self._orphan: Orphan | None = None
        self._inherited: InheritedHandler | None = None

    # The start

    def open(self, path: str) -> None:
        """
        Map the board, at the interpreter's start, while this process may still open it.

        Raises:
            NoBoard: The board cannot be opened.
        """
        self.board = Board(path)
        self.times = self.board.real
        self.board.tell(f"hello {os.getpid()}")
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        if self._answers is not None:
            self._answers.forget()
        self._answers = None
        self.slot = self._in_flight = self._orphan = None  # they are the parent's
        self.begin = self.end = self.end_from = self.comes = self.forget = _count_nothing
        self.closers, self._tasks, self._beating = {}, {}, set()
        self.under_way, self.keeper = set(), 0
        self._telling = allocate_lock()
        self._beginning, self._held = {}, []
        self._main = get_ident()
        self._inherited = InheritedHandler()

    def expects(self, server: str) -> None:
        """Report that a server was imported. From now on, only a worker's report counts."""
        if self.board is not None and not self._is_aside(get_ident()):
            self.board.tell(f"expects {server} {os.getpid()}")

    def fails(self, server: str) -> None:
        """Report that a server cannot report anything, so that READY does not wait for it."""
        self.failed.add(server.partition(" ")[0])
        if self.board is not None:
            self.board.tell(f"fails {server} {os.getpid()}")

    def leads(self, who: object, is_known: Callable[[], bool]) -> None:
        """
        Note that a server of the main thread will certainly serve. Until then, no other one counts.

        If this is called in another thread, the server serves there, and the main thread is not
        waited for any more.

        Args:
            who: The server, or the object that it serves with.
            is_known: Returns whether an object is one that calls `serves`. Called when another one
                does.
        """
        if get_ident() == self._main:
            self._leader, self._leads = who, is_known
        elif who is self._leader:
            self._leads = lambda: False

    def _is_aside(self, thread: int) -> bool:
        return self.slot is None and thread != self._main and self._leads()

    def begins(self) -> None:
        """Note that an app is starting in this thread. A server started meanwhile is the app's."""
        thread = get_ident()
        self._beginning[thread] = self._beginning.get(thread, 0) + 1

    def has_begun(self) -> None:
        """Note that this app has started: once for each `begins`."""
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
        Report that this process serves. Called where a server's worker starts to accept.

        An app may have its own small server, for example for metrics, and start it before it is
        served itself. The last server therefore counts, and a server of the main thread has
        priority. While an app is starting, no server of its thread counts, and no server at all if
        that is the main thread. If a main thread `leads`, no server of another thread counts before
        it.

        Args:
            server: The name of the server, as `/status` shows it.
            capacity: How many requests it serves at a time, one per thread, or 0 if a loop serves
                all of them.
            again: Called once it may count, if it does not count yet.

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
                self.complain("there are too many workers. Requests of this one are not counted")
                return False
            self.slot = slot
            self._owner = 0
            self._orphan = Orphan(board)
            self._in_flight = InFlight(slot)
            self.begin, self.end, self.end_from = self._in_flight.on_a_loop()
            self.under_way, self.comes = self._in_flight.under_way, self._in_flight.comes
            self.forget = self._in_flight.forget
            self._listen(board)
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

    def _listen(self, board: Board) -> None:
        from .answers import Answers  # only in a process that serves

        self._answers = Answers(board.path, self._answer, start_new_thread)
        self._answers.start()

    def _answer(self, limit: int, stacks: bool) -> bytes:  # noqa: FBT001 - see Answers
        """Return the requests in flight, for the parent. Called in another thread."""
        from .standing import answer  # which that thread has imported

        if self._in_flight is None:
            return b""
        tasks = [each for tasks in tuple(self._tasks) for each in tasks()]
        return answer(
            self._in_flight.since(tasks),
            limit,
            with_stacks=stacks,
            loops=tuple(self._beating),
            main=self._main,
            own=get_ident(),
        )

    # The drain

    @property
    def draining(self) -> bool:
        """True after the drain start, or while all app services are offline: connections close."""
        return self.times[GO_AT] > 0

    @property
    def settled(self) -> bool:
        """True after the settle time, while idle connections are closed."""
        board = self.board
        return board is not None and 0 < board.settled_at <= monotonic()

    def told_to_go(self) -> None:
        """Count a connection whose client was told to close it. From any thread."""
        slot = self.slot
        if slot is not None:
            with self._telling:
                slot.board.whole[slot.at + TOLD_TO_GO] += 1

    # The heartbeat

    def closes(self, close_idle: Callable[[], object]) -> None:
        """Set the function that closes idle connections, at heartbeats of the calling thread."""
        self.closers[close_idle] = get_ident()

    def beat(self) -> None:
        """Write the heartbeat, and close idle connections if it is time. On the loop."""
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
                # First, because a reader of the new beat must see this too.
                real[at + AWAKE_SINCE] = now
            real[at + BEAT_AT] = now
        if self._orphan is not None:
            self._orphan.look(now)
        if self.draining:
            # The drain waits for workers that have not checked their sockets lately.
            slot.board.tell("w")
        if self.closers and self.settled:
            self._close_idle()

    def _close_idle(self) -> None:
        for close_idle, thread in tuple(self.closers.items()):
            if thread != get_ident():
                continue
            try:
                close_idle()
            except Exception as error:
                self.complain(f"could not close idle connections: {error!r}")
                self.closers.pop(close_idle, None)

    def turn(self) -> None:
        """Write the heartbeat if it is due, for a loop that turns at every arrival."""
        if monotonic() >= self.next_beat:
            self.beat()

    def watch_parent(self) -> None:
        """Wait for the parent's end in a thread, for a server with threads but no heartbeat."""
        if self._orphan is not None:
            start_new_thread(self._orphan.watch, ())

    def keeps(self, tasks: Callable[[], list[Any]]) -> None:
        """Show the running requests of a server of this thread. The function returns them."""
        self._tasks[tasks] = get_ident()

    def beat_on(self, loop: Any) -> None:
        """Add a heartbeat to an asyncio loop while it runs. Called on it, after `serves`."""
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
        """Print a warning, once per message."""
        if text not in self._said:
            self._said.add(text)
            warn(text)


worker = Worker()
"""The worker of this process."""

__all__ = ["BEAT", "NoBoard", "Worker", "warn", "worker"]

"""
The workers of a command, as they report on the board.

The board is read on demand. A worker wakes this process with a line in the board's pipe, and
the kernel wakes it when a worker dies, so nothing is polled.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from lifecycle.drain.counts import Totals
from lifecycle.drain.elsewhere import Ended, Seen, View, by_age, some_of
from lifecycle.drain.late_arrivals import ArrivalStatus
from lifecycle.drain.work_names import Words, most
from lifecycle.instrumentation.lifecycle_worker.board import SERVING, Slot
from lifecycle.instrumentation.lifecycle_worker.process_state import is_alive
from lifecycle.instrumentation.lifecycle_worker.worker import PAUSE
from lifecycle.process.command import uwsgi
from lifecycle.process.command.board_file import BoardFile
from lifecycle.process.command.late_requests import LATE, LateRequests, Located
from lifecycle.process.command.questions import Questions
from lifecycle.process.command.worker_status import at_work, worker_status
from lifecycle.process.command.worker_totals import WorkerTotals
from lifecycle.status_records import WorkerStatus

READ: Final = 65536
"""Bytes to read from the pipe at once, which is more than it can hold."""
DISTURBERS_KEPT: Final = 5
NAMED: Final = 5
"""How many workers with requests in flight are named."""
LOCATED: Final = 21
"""The most requests of a worker whose place is stored for the report."""
ANSWER_TIME: Final = 1.5
"""Seconds that workers have to answer. Finding where they stand takes up to 0.25 s."""
LOCATE_TIME: Final = 0.4
"""The same for the report, shortly before the deadline."""
FRESH: Final = 1.0
"""Seconds for which stored requests are the names of what is in flight."""


class Workers:
    """
    Reads a board, and frees the slots of dead workers.

    Make and enter it on the app's loop. The methods of `lifecycle.drain.elsewhere.Elsewhere` may be
    called from any thread.

    Args:
        file: The board.
        nudge: Has the drain check its conditions again. Called from any thread.
        came: Stores a request that came after the drain start, with its time and the client's end
            of its connection.
        is_monitor: Returns whether a user agent and a path are those of a health check.

    Attributes:
        greeted: Set once the instrumentation runs in a process of the command.
        expected: The names of known servers that were imported. Their workers will report when
            they serve.
        serving: Set once a worker has reported that it serves.
        failed: The names of servers whose workers cannot report.
        given_up: Set while there are such servers, and no other server is expected.
        died_at_work: The last workers that died with requests in flight, and the number of
            requests.
        news: Set at each report of a worker, and when a worker has died. On the app's loop.
    """

    def __init__(
        self,
        file: BoardFile,
        nudge: Callable[[], object],
        came: Callable[[float, object], object] = lambda _at, _address: None,
        is_monitor: Callable[[str, str], bool] = lambda _agent, _path: False,
    ) -> None:
        self.greeted = asyncio.Event()
        self.expected: set[str] = set()
        self.serving = asyncio.Event()
        self.failed: set[str] = set()
        self.given_up = asyncio.Event()
        self.died_at_work: deque[str] = deque(maxlen=NAMED)
        self.news = asyncio.Event()
        self.questions: Questions | None = None
        """Asks the workers, if they can be asked."""
        self._file = file
        self._board = file.board
        self._nudge = nudge
        self._late = LateRequests(file.board, came, is_monitor)
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._watched: dict[tuple[int, int], int] = {}
        """A descriptor of each worker's process, by slot and pid; -1 if none could be opened."""
        self._arrived_at = -math.inf
        self._told_at = -math.inf
        """When all workers could see it on the board: a loop that has looked later has seen it."""
        self._disturbers: dict[str, None] = {}
        self._located: dict[tuple[int, int], Located] = {}
        """The last answers of the workers, by process and its start, because a pid may be reused."""
        self._located_at = -math.inf
        self._gives_up = False
        self._lost: list[Seen] = []
        """The requests of workers that have died at work since they were asked to end."""
        self._last: Ended | None = None
        """The request that ended last in a worker that has died."""
        self._totals = WorkerTotals()
        self._loop.add_reader(file.fd, self._wakened)

    @property
    def path(self) -> str:
        """The path of the board."""
        return self._file.path

    def close(self) -> None:
        """Stop watching, and remove the files."""
        self._wakened()  # the last lines, of workers that have ended
        self._loop.remove_reader(self._file.fd)
        for key in list(self._watched):
            self._forget(key)
        self._file.close()

    # Arriving reports, on the app's loop

    def _wakened(self) -> None:
        with suppress(BlockingIOError):
            found = os.read(self._file.fd, READ)
            *lines, self._rest = (self._rest + found).split(b"\n")
            late = [each for each in lines if each.startswith(LATE)]
            for line in (*{*lines}.difference(late), *late):  # two requests may have equal lines
                self._told(line.decode(errors="replace").split())
            if len(found) > READ // 2 or any(line.startswith(b"serves") for line in lines):
                self.look()  # a line may be missing because the pipe was full
        self.news.set()
        self._nudge()

    def _told(self, words: list[str]) -> None:
        match words:
            case ["hello", _]:
                self.greeted.set()
            case ["expects", server, _]:
                self.expected.add(server)
                self.greeted.set()
            case ["fails", server, *_]:
                self.failed.add(server)
            case ["late", at, *address]:
                self._late.told(at, address)
                return
        if self.failed and self.expected <= self.failed:
            self.given_up.set()
        else:
            self.given_up.clear()

    def look(self, *, all_again: bool = False) -> None:
        """
        Watch the process of each new worker, and free the slots of dead workers.

        Args:
            all_again: Check also the workers whose death the kernel will report.
        """
        taken = set()
        for slot in self._board.slots():
            key = slot.index, slot.pid
            taken.add(key)
            if key not in self._watched:
                self._watch(key, slot)
            elif (all_again or self._watched[key] < 0) and not slot.is_alive():
                self._died(key)
        for key in [key for key, fd in self._watched.items() if fd < 0 and key not in taken]:
            self._died(key)  # another worker already has its slot
        if any(slot.state == SERVING for slot in self._board.slots()):
            self.serving.set()

    def _watch(self, key: tuple[int, int], slot: Slot) -> None:
        _, pid = key
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            fd = -1
        except (OSError, AttributeError):  # an old kernel or a sandbox: `look` notices the end
            self._watched[key] = -1
            return
        self._watched[key] = fd
        # Only now it is certain that the descriptor belongs to this process.
        if fd < 0 or not is_alive(pid, slot.started):
            self._died(key)
        else:
            self._loop.add_reader(fd, self._died, key)

    def _died(self, key: tuple[int, int]) -> None:
        self._forget(key)
        slot, pid = Slot(self._board, key[0]), key[1]
        if slot.pid == pid:
            self.totals()  # its last numbers
            self._arrived_at = max(self._arrived_at, slot.arrived_at or -math.inf)
            self._note(slot)
            if slot.in_flight:
                self.died_at_work.append(at_work(slot))
                self._late.left_in(slot, self._located.get((pid, slot.started)))
                if self._gives_up:
                    self._lost += self._located_in(slot)
            self._last = max(filter(None, (self._last, _last_of(slot))), default=None)
            self._board.free(slot)
        elif slot.pid:  # a new worker has it already
            self._late.missed()
        self.news.set()
        self._nudge()

    def _forget(self, key: tuple[int, int]) -> None:
        fd = self._watched.pop(key, -1)
        if fd >= 0:
            self._loop.remove_reader(fd)
            os.close(fd)

    def _note(self, slot: Slot) -> None:
        came = slot.disturber and slot.arrived_at >= self._board.go_at
        if came and len(self._disturbers) < DISTURBERS_KEPT:
            self._disturbers[slot.disturber] = None

    # The state, from any thread

    def serving_now(self) -> list[Slot]:
        """Return the slots of the workers that serve."""
        return [slot for slot in self._board.slots() if slot.state == SERVING]

    def now(self) -> float:
        """Return the time, on the clock of the board."""
        return self._loop.time()

    def begin(self) -> None:
        """Write to the board that the drain starts."""
        self._board.draining_at = self.now()
        if self._board.settled_at > self.now():  # of a maintenance that the drain has overtaken
            self._board.settled_at = 0.0
        self._tell()

    def send_away(self, settles_at: float) -> None:
        """Write to the board that every app service is offline. Called on the control loop."""
        self._board.settled_at = settles_at
        self._board.go_at = self.now()
        self._tell()

    def _tell(self) -> None:
        self._told_at = self.now()
        self._disturbers.clear()
        self._located, self._located_at = {}, -math.inf  # perhaps of a wait that is long over
        uwsgi.tell(self.path)

    def stay(self) -> None:
        """Write to the board that an app service is online again. Called on the control loop."""
        self._board.settled_at = 0.0  # first: a client that is not told keeps its connection
        self._board.go_at = 0.0
        uwsgi.take_back(self.path)

    def settles_at(self, at: float) -> None:
        """Write to the board when the workers start to close idle connections, if not earlier."""
        self._board.settled_at = min(self._board.settled_at or at, at)

    def in_flight(self) -> int:
        """Return the number of requests in flight."""
        return sum(slot.in_flight for slot in self._board.slots())

    def names(self) -> list[str]:
        """Return the requests in flight if they were located just now, or else the workers."""
        if self.now() - self._located_at < FRESH:
            return most(Words(each.agent, "", "", each.name) for each in self.cut_off())
        busy = sorted(self._board.slots(), key=lambda slot: slot.in_flight, reverse=True)
        return [at_work(slot) for slot in busy[:NAMED] if slot.in_flight]

    def arrived_at(self) -> float:
        """Return when the last request that counts arrived, or minus infinity if none has."""
        now = (slot.arrived_at for slot in self._board.slots() if slot.arrived_at)
        return max(self._arrived_at, *now, -math.inf)

    def awake_since(self) -> float:
        """Return since when every loop turns without a pause, or infinity while one does not."""
        now = self.now()
        return max(
            (
                slot.awake_since if now - slot.beat_at <= PAUSE else math.inf
                for slot in self._loops()
            ),
            default=-math.inf,
        )

    def seen_until(self) -> float:
        """
        Return the time up to which every loop has turned, or infinity if there is no loop.

        Each loop must turn once before it counts, even if its worker serves in threads. From that
        turn on, requests are counted that were running when clients were told to go.
        """
        looking = (
            slot.beat_at if slot.beat_at > self._told_at else -math.inf
            for slot in self.serving_now()
            if not slot.capacity or slot.since < slot.beat_at <= self._told_at
        )
        return min(looking, default=math.inf)

    def arrivals(self) -> ArrivalStatus | None:
        """Return None, because `came` stores each arrival, or that one may be missing."""
        return self._late.arrivals()

    def disturbers(self) -> list[str]:
        """Return the clients that have sent requests since they were told to go."""
        board = self._board
        now = (slot.disturber for slot in board.slots() if slot.arrived_at >= board.go_at)
        return list(dict.fromkeys((*self._disturbers, *filter(None, now))))[:DISTURBERS_KEPT]

    async def view(self, limit: int, *, stacks: bool) -> View:
        """Return the oldest requests in flight, as the workers answer. For the control loop."""
        found = await self._ask(limit, ANSWER_TIME, stacks=stacks)
        silent = [each for each in self.serving_now() if each.in_flight and each.pid not in found]
        work = [
            *(each for view in found.values() for each in view.work),
            *map(self._unknown, silent),
        ]
        return View(
            sorted(work, key=by_age)[:limit],
            [each for view in found.values() for each in view.threads],
            sum(view.total for view in found.values()) + sum(each.in_flight for each in silent),
        )

    async def locate(self) -> None:
        """Store the requests in flight and where they stand. For the control loop."""
        asked_at = self.now()
        found = await self._ask(LOCATED, LOCATE_TIME, stacks=True)
        started = {slot.pid: slot.started for slot in self._board.slots()}
        for pid, view in found.items():
            self._located[pid, started.get(pid, 0)] = Located(asked_at, view.work, view.total)
        self._located_at = asked_at

    def cut_off(self) -> Sequence[Seen]:
        """Return the requests in flight in workers that run, and those that ended with theirs."""
        located = [each for slot in self.serving_now() for each in self._located_in(slot)]
        return sorted([*located, *self._lost], key=by_age)

    def gives_up(self) -> None:
        """Note that workers are asked to end with requests in flight. Called on the app's loop."""
        self._gives_up = True
        self.died_at_work.clear()

    def last_to_end(self) -> Ended | None:
        """Return the request that ended last after the drain start, or None."""
        now = (_last_of(slot) for slot in self._board.slots())
        return max(filter(None, (self._last, *now)), default=None)

    async def _ask(self, limit: int, within: float, *, stacks: bool) -> dict[int, View]:
        if self.questions is None:
            return {}
        # All of them, because a blocked loop has not shown its last requests.
        pids = [slot.pid for slot in self.serving_now()]
        return await self.questions.ask(pids, limit, stacks=stacks, within=within)

    def _located_in(self, slot: Slot) -> Sequence[Seen]:
        """Return the requests of a worker as they were located, if it may still have them."""
        located = self._located.get((slot.pid, slot.started))
        known = located.work if located is not None else ()
        if located is None or slot.beat_at <= located.at:
            return known or ([self._unknown(slot)] if slot.in_flight else ())
        if slot.in_flight >= len(known):  # the number on the board is newer
            return known
        return [some_of(known, slot.in_flight)] if slot.in_flight else ()

    def _unknown(self, slot: Slot) -> Seen:
        now = self.now()
        requests = f"{slot.in_flight} request{'s' if slot.in_flight > 1 else ''}"
        return Seen(
            now - slot.stalled_for(now),
            f"{requests} of {slot.server}",
            worker=slot.pid,
            pieces=slot.in_flight,
        )

    def oldest_at(self) -> float:
        """Return when the oldest request has started, as far as the workers have shown it."""
        shown = [each.oldest_at for each in self.serving_now() if each.in_flight]
        return min(filter(None, shown), default=math.inf)

    def totals(self) -> Totals:
        """Return what all workers have counted, including the dead workers."""
        return self._totals.read(self._board.slots())

    def status(self) -> list[WorkerStatus]:
        """Return the rows of `/status` for the workers that serve."""
        now = self.now()
        return [worker_status(slot, now) for slot in self.serving_now()]

    def _loops(self) -> list[Slot]:
        # Threads notice arrivals independently of each other, also at the end of a request.
        return [slot for slot in self.serving_now() if not slot.capacity]


def _last_of(slot: Slot) -> Ended | None:
    at, age, name = slot.last
    return Ended(at, name, age) if at else None

"""
The board: a file in which the workers of a command report to its parent.

The file is mapped into every process. The parent writes the header, and each worker its own slot.
The one exception is `LATE_LOST` in the header, where any worker may store 1. No process waits for
another one, because a value has eight bytes, which are stored at once. All times are those of
`time.monotonic()`, which is the same clock for all processes of a machine.
"""

from __future__ import annotations

import fcntl
import mmap
import os

from .held_file import HeldFile
from .process_state import is_alive, start_time

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "LIFECYCLE_BOARD"
"""The variable with the path of the file, in the environment of the command."""
WAKE = ".wake"
"""The suffix of the pipe next to the file. Workers wake the parent with it."""
ASK = ".ask"
"""The suffix of the socket next to the file. The parent asks the workers with it."""

MAGIC = 0x33626C6966656379
"""The first number of a file that is a board of this layout."""
HEADER = 4096
"""Bytes of the header."""
SLOT = 384
"""Bytes of a slot."""
SLOTS = 512
"""The maximum number of workers at the same time."""
SIZE = HEADER + SLOTS * SLOT

# The header, in numbers of eight bytes; then text.
_MAGIC, DRAINING_AT, _SETTLED_AT, _LENGTH, GO_AT, LATE_LOST = range(6)
_TEXT = 64
IGNORED_SIZE = HEADER - _TEXT
"""Bytes for the user agents and paths that do not count as arrivals."""

# A slot, in numbers of eight bytes; then text.
(
    PID,
    STARTED,
    STATE,
    SINCE,
    BEAT_AT,
    AWAKE_SINCE,
    IN_FLIGHT,
    SERVED,
    ARRIVED_AT,
    BUSY_SINCE,
    CAPACITY,
    LAST_AT,
    LAST_AGE,
    TOLD_TO_GO,
    OLDEST_AT,
    NEWEST_AT,
) = range(16)
_DISTURBER, _DISTURBER_SIZE = 128, 96
_SERVER, _SERVER_SIZE = 224, 32
_LAST, _LAST_SIZE = 256, 128

CLAIMED, SERVING = 1, 2
"""The states of a worker: it has a slot, and it serves."""


class NoBoard(Exception):
    """The board cannot be opened. The message says why."""


def _allocate(fd: int) -> None:
    """Reserve the file's space: a full file system is an error now, and not a SIGBUS later."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, SIZE)
    else:  # macOS
        os.pwrite(fd, bytes(SIZE), 0)


class Slot:
    """
    The values of one worker. Only that worker writes them.

    Args:
        board: The board.
        index: The number of the slot.
    """

    def __init__(self, board: Board, index: int) -> None:
        self.board = board
        self.index = index
        self.at = (HEADER + index * SLOT) // 8
        """The position of its numbers in `board.whole` and `board.real`."""

    @property
    def pid(self) -> int:
        """The process id of the worker, or 0 in a free slot."""
        return self.board.whole[self.at + PID]

    @property
    def started(self) -> int:
        """The start time of that process in ticks, because its pid may be reused."""
        return self.board.whole[self.at + STARTED]

    @property
    def state(self) -> int:
        """`CLAIMED` or `SERVING`."""
        return self.board.whole[self.at + STATE]

    @property
    def since(self) -> float:
        """When the slot was claimed."""
        return self.board.real[self.at + SINCE]

    @property
    def beat_at(self) -> float:
        """The last heartbeat of its loop."""
        return self.board.real[self.at + BEAT_AT]

    @property
    def awake_since(self) -> float:
        """Since when its loop has turned without a pause."""
        return self.board.real[self.at + AWAKE_SINCE]

    @property
    def in_flight(self) -> int:
        """The number of requests in flight."""
        return self.board.whole[self.at + IN_FLIGHT]

    @property
    def oldest_at(self) -> float:
        """When the oldest request in flight has started, at the last heartbeat if there is one."""
        return self.board.real[self.at + OLDEST_AT]

    @property
    def newest_at(self) -> float:
        """When the last request has started that was counted individually, or 0 if none has."""
        return self.board.real[self.at + NEWEST_AT]

    @property
    def served(self) -> int:
        """The number of requests that have ended."""
        return self.board.whole[self.at + SERVED]

    @property
    def arrived_at(self) -> float:
        """When the last request that counts arrived after `go_at`, or 0 if none has."""
        return self.board.real[self.at + ARRIVED_AT]

    @property
    def busy_since(self) -> float:
        """Since when at least `capacity` requests are running, and none of them has ended."""
        return self.board.real[self.at + BUSY_SINCE]

    @property
    def capacity(self) -> int:
        """How many requests it serves at a time, one per thread, or 0 if a loop serves all."""
        return self.board.whole[self.at + CAPACITY]

    @property
    def disturber(self) -> str:
        """The user agent of the last arrival that counts."""
        return self._text(_DISTURBER, _DISTURBER_SIZE)

    @property
    def last(self) -> tuple[float, float, str]:
        """When the last request has ended after the drain start (0: none), its age and its name."""
        real = self.board.real
        return real[self.at + LAST_AT], real[self.at + LAST_AGE], self._text(_LAST, _LAST_SIZE)

    @property
    def server(self) -> str:
        """The name of the server."""
        return self._text(_SERVER, _SERVER_SIZE)

    def is_alive(self) -> bool:
        """Return whether its worker runs."""
        return is_alive(self.pid, self.started)

    def stalled_for(self, now: float) -> float:
        """
        Return for how many seconds this worker has made no progress.

        A loop makes no progress while it does not turn. Threads make none while all of them are
        busy and no request ends.
        """
        if not self.capacity:
            return max(0.0, now - self.beat_at)
        return max(0.0, now - self.busy_since) if self.in_flight >= self.capacity else 0.0

    def set_text(self, disturber: str = "", server: str = "", last: str = "") -> None:
        """Write a text. Only the owner of the slot calls this."""
        for text, start, size in (
            (disturber, _DISTURBER, _DISTURBER_SIZE),
            (server, _SERVER, _SERVER_SIZE),
            (last, _LAST, _LAST_SIZE),
        ):
            if text:
                begin = self.at * 8 + start
                raw = text.encode("utf-8", "replace")[:size]
                self.board.raw[begin : begin + size] = raw.ljust(size, b"\0")

    def _text(self, start: int, size: int) -> str:
        begin = self.at * 8 + start
        raw = bytes(self.board.raw[begin : begin + size])
        return raw.partition(b"\0")[0].decode("utf-8", "replace")

    def clear(self) -> None:
        """Free the slot: for the parent of a dead worker, and for a worker that claims it."""
        self.board.whole[self.at + PID] = 0  # first, so that a reader sees a free slot
        begin = self.at * 8
        self.board.raw[begin + 8 : begin + SLOT] = bytes(SLOT - 8)


class Board:
    """
    A mapped board.

    Args:
        path: The path of the file. It must be opened before the worker gives up rights.

    Attributes:
        file: The file, of which parts are locked.
        wake: The pipe next to it, which the parent reads as long as it lives.

    Raises:
        NoBoard: The file does not exist, cannot be opened, or has another layout.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self.file = HeldFile(path, os.O_RDWR)
        except OSError as error:
            raise NoBoard(f"{path}: {error.strerror}") from None
        try:
            self._map = mmap.mmap(self.file.fileno(), SIZE)
        except (OSError, ValueError) as error:
            self.file.close()
            raise NoBoard(f"{path}: {error}") from None
        self.raw = memoryview(self._map)
        self.whole = self.raw.cast("q")
        self.real = self.raw.cast("d")
        if self.whole[_MAGIC] != MAGIC:
            self.close()
            raise NoBoard(f"{path} belongs to another version of pod-lifecycle")
        try:
            self.wake = HeldFile(path + WAKE, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:  # ENXIO: the parent does not read it any more
            self.close()
            raise NoBoard(f"{path}{WAKE}: {error.strerror}") from None

    @classmethod
    def create(cls, path: str, ignored: tuple[str, ...] = ()) -> Board:
        """
        Create a board, and the pipe next to it. The reading end of the pipe must already be open.

        Args:
            path: The path of the file, which must not exist.
            ignored: User agents (by prefix) and paths (`/…`) that do not count as arrivals: at most
                `IGNORED_SIZE` bytes, with a separator after each one except the last.

        Raises:
            OSError: The file cannot be written there.
        """
        text = "\n".join(ignored).encode()
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _allocate(fd)
            with mmap.mmap(fd, SIZE) as whole, memoryview(whole) as raw:
                numbers = raw.cast("q")
                numbers[_LENGTH] = len(text)
                numbers[_MAGIC] = MAGIC
                numbers.release()
                raw[_TEXT : _TEXT + len(text)] = text
        finally:
            os.close(fd)
        return cls(path)

    # The header

    @property
    def draining_at(self) -> float:
        """The drain start, or 0 before it."""
        return self.real[DRAINING_AT]

    @draining_at.setter
    def draining_at(self, at: float) -> None:
        self.real[DRAINING_AT] = self.real[GO_AT] = at

    @property
    def go_at(self) -> float:
        """When connections start to close: the drain start, or all went offline. 0 before."""
        return self.real[GO_AT]

    @go_at.setter
    def go_at(self, at: float) -> None:
        self.real[GO_AT] = at

    @property
    def settled_at(self) -> float:
        """The end of the settle time, which may become earlier. 0 while clients may stay."""
        return self.real[_SETTLED_AT]

    @settled_at.setter
    def settled_at(self, at: float) -> None:
        self.real[_SETTLED_AT] = at

    @property
    def late_lost(self) -> bool:
        """True if a worker could not report a late request."""
        return bool(self.whole[LATE_LOST])

    @property
    def ignored(self) -> tuple[str, ...]:
        """User agents (by prefix) and paths (`/…`) that do not count as arrivals."""
        length = self.whole[_LENGTH]
        text = bytes(self.raw[_TEXT : _TEXT + length]).decode("utf-8", "replace")
        return tuple(filter(None, text.split("\n")))

    # The slots

    def slots(self) -> Iterator[Slot]:
        """Yield the claimed slots, including those of dead workers."""
        first = HEADER // 8
        for index in range(SLOTS):
            if self.whole[first + index * (SLOT // 8)]:
                yield Slot(self, index)

    def claim(self, now: float) -> Slot | None:
        """
        Claim a slot for this process. Returns None if no slot is free.

        The lock of a slot is tried without waiting. If it is taken, the next slot is tried. A slot
        with this pid is used again, because it belonged to the program that this process was
        before.

        Args:
            now: The time.
        """
        own = os.getpid()
        for index in range(SLOTS):
            slot = Slot(self, index)
            if slot.pid != own and slot.is_alive():
                continue
            where = slot.at * 8
            try:
                fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB, SLOT, where)
            except OSError:
                continue
            try:
                if slot.pid != own and slot.is_alive():  # it was quicker
                    continue
                slot.clear()
                self.whole[slot.at + STARTED] = start_time(own)
                self.whole[slot.at + STATE] = CLAIMED
                for each in (SINCE, BEAT_AT, AWAKE_SINCE):
                    self.real[slot.at + each] = now
                self.whole[slot.at + PID] = own  # last: from now on it is looked at
                return slot
            finally:
                fcntl.lockf(self.file, fcntl.LOCK_UN, SLOT, where)
        return None

    def free(self, slot: Slot) -> None:
        """Free the slot of a dead worker, unless another worker is claiming it."""
        where = slot.at * 8
        try:
            fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB, SLOT, where)
        except OSError:
            return
        try:
            if not slot.is_alive():
                slot.clear()
        finally:
            fcntl.lockf(self.file, fcntl.LOCK_UN, SLOT, where)

    def tell(self, line: str) -> bool:
        """Wake the parent with a line. Returns False if the pipe is full, or the parent is gone."""
        try:
            os.write(self.wake.fileno(), line.encode() + b"\n")
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Unmap the board and close its descriptors. The files stay."""
        for view in ("real", "whole", "raw"):
            if hasattr(self, view):
                getattr(self, view).release()
        self._map.close()
        for held in ("file", "wake"):
            if hasattr(self, held):
                getattr(self, held).close()

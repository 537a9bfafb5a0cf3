"""
The end of a worker whose parent was killed, as its server ends at SIGTERM.

Rules of this file:

1. The kernel signals the direct child of the parent, and most servers end their workers
   themselves. A worker therefore first waits for `PATIENCE`.
2. If there is a master above it, one of its workers sends SIGTERM to the master, once. The master
   would otherwise restart its workers. A worker without a master, or without one of its own user,
   signals itself.
3. A process is a master of this command if its environment has the path of the board. No other
   process is signalled.
4. A server may wait for its requests forever, for example for an event stream. Its parent would
   have killed it at the end of the grace period. So a worker kills itself after `LONGEST`.
"""

from __future__ import annotations

import errno
import fcntl
import os
from select import poll  # the real one, whatever gevent puts there later
from time import monotonic, sleep

from .board import SIZE, VARIABLE, Board

PATIENCE = 2.0
"""Seconds for a server to end its workers by itself."""
LONGEST = 30.0
"""Seconds for a worker to end: the default grace period of Kubernetes."""
SIGKILL = 9
SIGTERM = 15


class Orphan:
    """
    The reaction of a worker to the end of its parent.

    Args:
        board: The board of the worker.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._next = self._last = 0.0
        self._told: set[int] = set()

    def look(self, now: float) -> None:
        """
        Check whether the parent lives. If it does not, end this worker after `PATIENCE`, and kill
        it after `LONGEST`.

        Args:
            now: The time.
        """
        if has_parent(self._board):
            return
        if not self._next:
            self._next, self._last = now + PATIENCE, now + LONGEST
        elif now >= self._last:
            os.kill(os.getpid(), SIGKILL)
        elif now >= self._next:
            self._next = now + PATIENCE
            self.tell()

    def watch(self) -> None:
        """Wait for the end of the parent, and end this worker. It needs its own thread."""
        has_parent(self._board, wait=None)
        while True:
            self.look(monotonic())
            sleep(PATIENCE)

    def tell(self) -> None:
        """Send SIGTERM to the master, once, or to this process if there is no master."""
        pid = _master(self._board.path) or os.getpid()
        if pid in self._told:
            return
        self._told.add(pid)
        try:
            # Beyond the end of the file, and held to the end of this process.
            fcntl.lockf(self._board.file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, SIZE + pid)
            os.kill(pid, SIGTERM)
        except OSError:  # another worker has signalled it, or it has just ended
            pass


def has_parent(board: Board, wait: float | None = 0) -> bool:
    """
    Return whether the parent lives. As long as it does, it reads the board's pipe.

    Args:
        board: The board.
        wait: Milliseconds to wait for its end, or None to wait forever.
    """
    reader = poll()
    try:
        reader.register(board.wake.fileno(), 0)  # the end of the reader is reported in any case
    except OSError as error:
        return error.errno != errno.ENXIO
    return not reader.poll(wait)


def _master(board: str) -> int:
    """Return the topmost process above this one that belongs to a board's command; or 0."""
    found, pid = 0, os.getppid()
    while pid > 1 and _is_of(pid, board):
        found, pid = pid, _parent_of(pid)
    return found


def _is_of(pid: int, board: str) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as environ:
            return f"{VARIABLE}={board}".encode() in environ.read().split(b"\0")
    except OSError:  # it has ended, or belongs to another user
        return False


def _parent_of(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return int(stat.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0

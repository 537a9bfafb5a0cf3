"""
A worker whose parent was killed: it ends as its server does by SIGTERM, and holds no port.

Rules of this file:

1. The kernel tells the direct child of the parent, and most servers take their workers along.
   So a worker first waits for `PATIENCE`.
2. A master above it is told, by one of its workers and once: it would only start them anew.
   A worker that has none, or none of its own user, tells itself.
3. A master is of this command if the board's path is in its environment. Nobody else is told.
"""

from __future__ import annotations

import errno
import fcntl
import os
from select import poll  # the real one, whatever gevent puts there later
from time import monotonic, sleep

from .board import SIZE, VARIABLE, Board

PATIENCE = 2.0
"""Seconds that a server has to end its workers by itself."""
SIGTERM = 15


class Orphan:
    """
    What a worker does about the end of its parent.

    Args:
        board: Its board.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._next = 0.0
        self._told: set[int] = set()

    def look(self, now: float) -> None:
        """
        See whether the parent is there, and end this worker, in a while, if it is not.

        Args:
            now: The time.
        """
        if has_parent(self._board):
            return
        if not self._next:
            self._next = now + PATIENCE
        elif now >= self._next:
            self._next = now + PATIENCE
            self.tell()

    def watch(self) -> None:
        """Wait until the parent is not there, and end this worker; in a thread of its own."""
        has_parent(self._board, wait=None)
        while True:
            self.look(monotonic())
            sleep(PATIENCE)

    def tell(self) -> None:
        """Tell the master to end, once, or this process if there is none."""
        pid = _master(self._board.path) or os.getpid()
        if pid in self._told:
            return
        self._told.add(pid)
        try:
            # Beyond the end of the file, and held to the end of this process.
            fcntl.lockf(self._board.file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, SIZE + pid)
            os.kill(pid, SIGTERM)
        except OSError:  # another worker has told it, or it has just ended
            pass


def has_parent(board: Board, wait: float | None = 0) -> bool:
    """
    Tell whether the parent lives: it reads the board's pipe as long as it does.

    Args:
        board: The board.
        wait: Milliseconds to wait for its end; None: for ever.
    """
    reader = poll()
    try:
        reader.register(board.wake.fileno(), 0)  # that nobody reads it is told in any case
    except OSError as error:
        return error.errno != errno.ENXIO
    return not reader.poll(wait)


def _master(board: str) -> int:
    """Return the topmost of the processes above this one that are of a board's command; or 0."""
    found, pid = 0, os.getppid()
    while pid > 1 and _is_of(pid, board):
        found, pid = pid, _parent_of(pid)
    return found


def _is_of(pid: int, board: str) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as environ:
            return f"{VARIABLE}={board}".encode() in environ.read().split(b"\0")
    except OSError:  # it has ended, or is somebody else's
        return False


def _parent_of(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return int(stat.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0

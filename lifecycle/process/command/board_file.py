"""The board's file, and the pipe beside it: made where one may write, and gone at the end."""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import suppress
from typing import Final

from lifecycle.exceptions import LifecycleError
from lifecycle.instrumentation.lifecycle_worker.board import (
    IGNORED_SIZE,
    WAKE,
    Board,
    NoBoard,
)
from lifecycle.process.command.uwsgi import DRAINING
from lifecycle.qos.control_socket import FOLDERS

FIRST: Final = "/dev/shm"  # noqa: S108 - each file there is of mode 0600, and made by us alone
"""In memory, and writable where the root is not: what workers write is never written to a disk."""
PREFIX: Final = "lifecycle-"
SUFFIX: Final = ".board"


class BoardFile:
    """
    A board that the workers of a command find by its path.

    Args:
        run_dir: A folder to use if there is no memory for it; else a short list is tried.
        ignored: User agents (by prefix) and paths that do not count as arrivals.

    Raises:
        LifecycleError: No folder takes it.

    Attributes:
        board: It.
        path: Where it is.
        fd: The end of the pipe on which workers wake us; it never blocks.
    """

    board: Board
    path: str
    fd: int

    def __init__(self, run_dir: str = "", ignored: tuple[str, ...] = ()) -> None:
        if (size := len("\n".join(ignored).encode())) > IGNORED_SIZE:
            raise LifecycleError(
                f"LIFECYCLE_QUIET_IGNORE has {size - IGNORED_SIZE} bytes more than the workers "
                "can be told. Name prefixes that several user agents share."
            )
        problems = []
        for folder in dict.fromkeys((FIRST, *((run_dir,) if run_dir else FOLDERS))):
            try:
                self._make(folder, ignored)
            except (OSError, NoBoard) as error:
                problems.append(f"{folder}: {getattr(error, 'strerror', None) or error}")
            else:
                return
        raise LifecycleError(
            f"Cannot create the board of the workers in any folder ({'; '.join(problems)}). "
            "Mount an emptyDir and set LIFECYCLE_RUN_DIR to its path. "
            "Or leave the workers uncounted: --instrument=no."
        )

    def _make(self, folder: str, ignored: tuple[str, ...]) -> None:
        sweep(folder)
        path = os.path.join(folder, f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}")
        os.mkfifo(path + WAKE, 0o600)
        fd = -1
        try:
            fd = os.open(path + WAKE, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as long as we live: see `sweep`
            self.board = Board.create(path, ignored)
        except BaseException:
            remove(path)
            if fd >= 0:
                os.close(fd)
            raise
        self.path, self.fd = path, fd

    def close(self) -> None:
        """Remove the files. The board stays mapped: what it says last is still asked for."""
        remove(self.path)
        os.close(self.fd)


def sweep(folder: str) -> None:
    """Remove what a parent that was killed has left there."""
    with suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(PREFIX) and name.endswith(SUFFIX):
                _remove_if_left(os.path.join(folder, name))


def _remove_if_left(path: str) -> None:
    # Its pid says nothing: another container of the pod, with pids of its own, may share the folder.
    with suppress(OSError):
        fd = os.open(path + WAKE, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(path)
        finally:
            os.close(fd)


def remove(path: str) -> None:
    """Remove a board and what is beside it, as far as it is there."""
    for each in (path, path + WAKE, path + DRAINING):
        with suppress(OSError):
            os.unlink(each)

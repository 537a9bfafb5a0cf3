"""The file of the board, and the pipe next to it, in a folder that is writable."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from contextlib import suppress
from typing import Final

from lifecycle.exceptions import LifecycleError
from lifecycle.instrumentation.lifecycle_worker.board import (
    ASK,
    IGNORED_SIZE,
    SLOTS,
    WAKE,
    Board,
    NoBoard,
)
from lifecycle.process.command.uwsgi import DRAINING
from lifecycle.qos.control_socket import FOLDERS

FIRST: Final = "/dev/shm"  # noqa: S108 - each file there has mode 0600, and is created here only
"""
The folder tried first. It is in memory, and writable even if the root file system is not.

The workers therefore never write to a disk.
"""
PREFIX: Final = "lifecycle-"
SUFFIX: Final = ".board"


class BoardFile:
    """
    A board that the workers of a command open by its path.

    Args:
        run_dir: The folder to use if /dev/shm cannot be used, or "" to try a short list of folders.
        ignored: User agents (by prefix) and paths that do not count as arrivals.

    Raises:
        LifecycleError: The file cannot be created in any folder.

    Attributes:
        board: The board.
        path: The path of its file.
        fd: The reading end of the pipe that workers write to. It never blocks.
        no_listener: Why the workers cannot be asked, or empty.
    """

    board: Board
    path: str
    fd: int
    no_listener: str
    _listener: socket.socket | None

    def __init__(self, run_dir: str = "", ignored: tuple[str, ...] = ()) -> None:
        if (size := len("\n".join(ignored).encode())) > IGNORED_SIZE:
            raise LifecycleError(
                f"LIFECYCLE_QUIET_IGNORE is {size - IGNORED_SIZE} bytes too long for the board of "
                "the workers. Use prefixes that several user agents share.",
                see="errors.md#no-folder-for-the-board",
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
            "To run without the board, and without counting requests, add --instrument=no.",
            see="errors.md#no-folder-for-the-board",
        )

    def _make(self, folder: str, ignored: tuple[str, ...]) -> None:
        sweep(folder)
        path = os.path.join(folder, f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}")
        os.mkfifo(path + WAKE, 0o600)
        fd = -1
        try:
            fd = os.open(path + WAKE, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until this process ends: see `sweep`
            self.board = Board.create(path, ignored)
        except BaseException:
            remove(path)
            if fd >= 0:
                os.close(fd)
            raise
        self.path, self.fd = path, fd
        self._listener, self.no_listener = _listener(path + ASK)

    def close(self) -> None:
        """Remove the files. The board stays mapped, because its last content is still read."""
        remove(self.path)
        os.close(self.fd)
        if (listener := self.take_listener()) is not None:
            listener.close()

    def take_listener(self) -> socket.socket | None:
        """
        Return the socket to which workers connect to answer questions. The caller closes it.

        None if it cannot be opened there, see `no_listener`.
        """
        listener, self._listener = self._listener, None
        return listener


def _listener(path: str) -> tuple[socket.socket | None, str]:
    """
    Listen on a path. A worker may run as another user, so its process is checked instead.

    Returns:
        The socket, or None and the reason.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.bind(path)
        os.chmod(path, 0o666)  # noqa: S103 - see above
        sock.listen(SLOTS)
    except OSError as error:  # for example, the path is too long
        sock.close()
        return None, f"{path}: {error.strerror or error}"
    return sock, ""


def sweep(folder: str) -> None:
    """Remove the files of a parent process that was killed."""
    with suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(PREFIX) and name.endswith(SUFFIX):
                _remove_if_left(os.path.join(folder, name))


def _remove_if_left(path: str) -> None:
    # The pid in the name is no proof, because another container may share the folder.
    with suppress(OSError):
        fd = os.open(path + WAKE, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(path)
        finally:
            os.close(fd)


def remove(path: str) -> None:
    """Remove the files of a board, if they exist."""
    for each in (path, path + WAKE, path + ASK, path + DRAINING):
        with suppress(OSError):
            os.unlink(each)

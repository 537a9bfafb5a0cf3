"""A file that is held open by its descriptor, whoever closes descriptors by their number."""

from __future__ import annotations

import os


class HeldFile:
    """
    A file that is held open: what closes all descriptors, as a daemon does at its start, may give
    its number to a file of the app's.

    Args:
        path: Of the file.
        flags: How it is opened.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: str, flags: int) -> None:
        self._path = path
        self._flags = flags | os.O_CLOEXEC
        self._open()

    def _open(self) -> None:
        self._fd = os.open(self._path, self._flags)
        self._file = _file_of(self._fd)

    def fileno(self) -> int:
        """
        Return its descriptor: a new one if the number is another file's by now.

        Raises:
            OSError: It cannot be opened any more.
        """
        if _file_of(self._fd) != self._file:
            self._open()
        return self._fd

    def close(self) -> None:
        """Close it, and nobody else's."""
        if _file_of(self._fd) == self._file:
            os.close(self._fd)


def _file_of(fd: int) -> tuple[int, int]:
    try:
        found = os.fstat(fd)
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino

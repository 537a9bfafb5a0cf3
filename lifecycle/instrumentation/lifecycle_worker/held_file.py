"""A file that stays open even if other code closes descriptors by their number."""

from __future__ import annotations

import os


class HeldFile:
    """
    A file that stays open.

    Code that closes all descriptors, such as a daemon at its start, may give the number of this one
    to a file of the app.

    Args:
        path: The path of the file.
        flags: The flags to open it with.

    Raises:
        OSError: The file cannot be opened.
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
        Return its descriptor. If another file has its number by now, it is opened again.

        Raises:
            OSError: The file cannot be opened again.
        """
        if _file_of(self._fd) != self._file:
            self._open()
        return self._fd

    def close(self) -> None:
        """Close the descriptor, unless another file has its number."""
        if _file_of(self._fd) == self._file:
            os.close(self._fd)


def _file_of(fd: int) -> tuple[int, int]:
    try:
        found = os.fstat(fd)
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino

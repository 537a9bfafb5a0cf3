"""
The TCP ports on which processes listen, read from the kernel's tables.

A test connection would be possible too, but the app would see it as a client.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import Final

from lifecycle.drain.kernel_sockets import LISTEN, TABLES

_INODE: Final = 9
"""The position of a socket's inode in a row of a table: proc(5)."""


def listening_ports() -> frozenset[int] | None:
    """Return the TCP ports that any process listens on, or None if the kernel has no table."""
    tables = [table for table in TABLES if os.path.exists(table)]
    return frozenset(port for port, _ in _listeners(tables)) if tables else None


def ports_of(pids: Iterable[int]) -> frozenset[int]:
    """
    Return the TCP ports that some processes listen on, or none if there is no /proc.

    Args:
        pids: The ids of the processes.
    """
    tables = [table for table in TABLES if os.path.exists(table)]
    sockets = {f"socket:[{inode}]": port for port, inode in _listeners(tables)}
    opened = {link for pid in pids for link in _descriptors(pid)}
    return frozenset(sockets[link] for link in opened & sockets.keys())


def _listeners(tables: list[str]) -> Iterator[tuple[int, str]]:
    """Yield the port and the inode of each listening socket."""
    for table in tables:
        with open(table, encoding="ascii") as lines:
            next(lines, None)
            for line in lines:
                fields = line.split(maxsplit=_INODE + 1)
                if fields[3] != LISTEN:  # listeners come first; connections may be thousands
                    break
                yield int(fields[1].rpartition(":")[2], 16), fields[_INODE]


def _descriptors(pid: int) -> Iterator[str]:
    folder = f"/proc/{pid}/fd"
    for name in names_in(folder):
        with contextlib.suppress(OSError):  # closed meanwhile
            yield os.readlink(f"{folder}/{name}")


def names_in(folder: str) -> list[str]:
    """Return the names in a folder of /proc, or none if it cannot be read."""
    try:
        return os.listdir(folder)
    except OSError:  # no /proc, or a process that has ended, or another user's
        return []

"""What the kernel's tables say of listening sockets: whether there is one, and who waits in it."""

from __future__ import annotations

import os
import socket
from collections.abc import Container
from typing import Final

TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")
LISTEN: Final = "0A"
"""The state of a listening socket in /proc/net/tcp: proc(5)."""


def is_listening(port: int) -> bool:
    """
    Tell whether anything listens on a TCP port of this network namespace (a pod has one).

    Where the kernel keeps a table (Linux), it is read: connecting would be seen by the
    app as a client that says nothing.
    """
    tables = [table for table in TABLES if os.path.exists(table)]
    if not tables:
        return any(_accepts(host, port) for host in ("127.0.0.1", "::1"))
    return any(_listens(table, port) for table in tables)


def _listens(table: str, port: int) -> bool:
    with open(table, encoding="ascii") as lines:
        rows = (line.split() for line in lines)
        return any(row[3] == LISTEN and row[1].endswith(f":{port:04X}") for row in rows)


def accept_queue(*ports: int) -> int:
    """
    Return how many clients have connected to TCP ports and wait to be accepted, by all sockets
    that listen on them in this network namespace; 0 where the kernel keeps no table.

    A listener that closes resets them, so a server may stop once this is 0. Each call reads the
    beginning of the kernel's tables, once for all ports. With thousands of connections that takes
    the kernel some milliseconds, so ask for all ports at once.
    """
    wanted = {f"{port:04X}" for port in ports}
    return sum(_queued(table, wanted) for table in TABLES if wanted and os.path.exists(table))


def _queued(table: str, ports: Container[str]) -> int:
    queued = 0
    with open(table, encoding="ascii") as lines:
        next(lines, "")
        for line in lines:
            row = line.split()
            if row[3] != LISTEN:
                break  # who listens comes first; the connections behind may be many
            if row[1].rpartition(":")[2] in ports:
                queued += int(row[4].partition(":")[2], 16)
    return queued


def _accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=0.1).close()
    except OSError:
        return False
    return True

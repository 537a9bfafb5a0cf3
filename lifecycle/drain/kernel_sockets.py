"""What the kernel says of a port: whether anything listens, who waits in it, who is connected."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Container, Iterator, Sequence
from typing import Final

from lifecycle.drain.socket_diagnosis import NoDiagnosis, sockets_of
from lifecycle.drain.socket_messages import LISTEN as LISTENING
from lifecycle.drain.socket_messages import TcpSocket

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
    that listen on them in this network namespace; 0 where the kernel tells nothing.

    A listener that closes resets them, so a server may stop once this is 0. Ask for all ports at
    once: where it must be read in a table, that takes the kernel some milliseconds.

    Raises:
        OSError: It cannot be told just now: no descriptor is left.
    """
    return sum(each.waiting for each in tcp_sockets(ports, LISTENING))


def tcp_sockets(ports: Sequence[int], states: int, *, info: bool = False) -> list[TcpSocket]:
    """
    Return the TCP sockets with one of some local ports, of whatever process.

    Args:
        ports: Them.
        states: Which states they may be in: of `socket_messages`.
        info: True if bytes and times are wanted too; the tables, which are read where there is
            no socket diagnosis, do not have them.

    Raises:
        OSError: It cannot be told just now: no descriptor is left.
    """
    try:
        return sockets_of(ports, states, info=info)
    except NoDiagnosis:
        wanted = {f"{port:04X}" for port in ports}
        tables = [table for table in TABLES if wanted and os.path.exists(table)]
        return [each for table in tables for each in _found(table, wanted, states)]


def _found(table: str, ports: Container[str], states: int) -> Iterator[TcpSocket]:
    with open(table, encoding="ascii") as lines:
        next(lines, "")
        for line in lines:
            row = line.split()
            state = 1 << int(row[3], 16)
            if states == LISTENING and state != LISTENING:
                break  # who listens comes first; the connections behind may be many
            if state & states and row[1].rpartition(":")[2] in ports:
                yield _described(row, state)


def _described(row: list[str], state: int) -> TcpSocket:
    """Read a row of a table: proc(5). A connection is known by its two ends."""
    unsent, _, waiting = row[4].partition(":")
    return TcpSocket(
        state=state,
        cookie=int((row[1] + row[2]).replace(":", ""), 16),
        port=int(row[1].rpartition(":")[2], 16),
        peer=_packed(row[2].partition(":")[0]),
        waiting=int(waiting, 16),
        unsent=int(unsent, 16),
        accepted=row[9] != "0",
    )


def _packed(address: str) -> bytes:
    """Return an address as the network has it: a table shows numbers of four bytes each."""
    numbers = (int(address[at : at + 8], 16) for at in range(0, len(address), 8))
    return b"".join(number.to_bytes(4, sys.byteorder) for number in numbers)


def _accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=0.1).close()
    except OSError:
        return False
    return True

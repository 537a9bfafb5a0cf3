"""The state of a port in the kernel: listening sockets, accept queue, connections."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from lifecycle.drain.socket_diagnosis import NoDiagnosis, sockets_of
from lifecycle.drain.socket_messages import LISTEN as LISTENING
from lifecycle.drain.socket_messages import TcpSocket

TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")
LISTEN: Final = "0A"
"""The state of a listening socket in /proc/net/tcp: proc(5)."""


def is_listening(port: int) -> bool:
    """
    Return True if a process listens on a TCP port in this network namespace, which is the pod's.

    On Linux, a table of the kernel is read. Otherwise the port is tried, and the app then sees a
    client that sends nothing.
    """
    tables = [table for table in TABLES if os.path.exists(table)]
    if not tables:
        return any(_accepts(host, port) for host in ("127.0.0.1", "::1"))
    return any(_listens(table, port) for table in tables)


def _listens(table: str, port: int) -> bool:
    with open(table, encoding="ascii") as lines:
        rows = (line.split() for line in lines)
        return any(row[3] == LISTEN and row[1].endswith(f":{port:04X}") for row in rows)


def listeners(ports: Iterable[int]) -> list[str]:
    """
    Return the addresses at which processes listen on these ports, for example `0.0.0.0:8080`.

    An address that is unknown is `*`. The order is that of the ports.
    """
    found: dict[int, list[str]] = {port: [] for port in ports}
    for table in TABLES:
        with suppress(OSError), open(table, encoding="ascii") as lines:
            next(lines, "")
            for row in (line.split() for line in lines):
                if row[3] != LISTEN:
                    break  # listeners come first, and many connections may follow
                host, _, port = row[1].rpartition(":")
                there = found.get(int(port, 16))
                shown = _address(_packed(host))
                if there is not None and shown not in there:
                    there.append(shown)
    return [f"{host}:{port}" for port, hosts in found.items() for host in hosts or ["*"]]


def _address(packed: bytes) -> str:
    if len(packed) == 4:
        return socket.inet_ntop(socket.AF_INET, packed)
    return f"[{socket.inet_ntop(socket.AF_INET6, packed)}]"


def accept_queue(*ports: int) -> int:
    """
    Return the number of clients in the accept queues of TCP ports.

    All sockets that listen on these ports in this network namespace count. The number is 0 if the
    kernel has no such information. A listener that closes resets its queue, so a server may stop
    when the number is 0. Pass all ports in one call, because reading a table takes the kernel
    some milliseconds.

    Raises:
        OSError: No descriptor is free now.
    """
    return sum(each.waiting for each in tcp_sockets(ports, LISTENING))


def tcp_sockets(ports: Sequence[int], states: int, *, info: bool = False) -> list[TcpSocket]:
    """
    Return the TCP sockets of all processes that have one of these local ports.

    Args:
        ports: The local ports.
        states: The states to include, as defined in `socket_messages`.
        info: Whether to include bytes and times. If the kernel has no socket diagnosis, tables
            are read instead, and bytes and times are missing.

    Raises:
        OSError: No descriptor is free now.
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
                break  # listeners come first, and many connections may follow
            if state & states and row[1].rpartition(":")[2] in ports:
                yield _described(row, state)


def _described(row: list[str], state: int) -> TcpSocket:
    """Read a row of a table, see proc(5). Its two addresses identify a connection."""
    unsent, _, waiting = row[4].partition(":")
    return TcpSocket(
        state=state,
        cookie=int((row[1] + row[2]).replace(":", ""), 16),
        port=int(row[1].rpartition(":")[2], 16),
        peer=_packed(row[2].partition(":")[0]),
        waiting=int(waiting, 16),
        unsent=int(unsent, 16),
        accepted=row[9] != "0",
        peer_port=int(row[2].rpartition(":")[2], 16),
    )


def _packed(address: str) -> bytes:
    """Return an address in network byte order. A table has numbers of four bytes each."""
    numbers = (int(address[at : at + 8], 16) for at in range(0, len(address), 8))
    return b"".join(number.to_bytes(4, sys.byteorder) for number in numbers)


def _accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=0.1).close()
    except OSError:
        return False
    return True

"""Who listens, by the kernel's table: connecting would be seen by the app as a client."""

from __future__ import annotations

import os
from collections.abc import Iterator

from lifecycle.drain.kernel_sockets import LISTEN, TABLES


def listening_ports() -> frozenset[int] | None:
    """Return the ports that somebody listens on; None where the kernel keeps no table."""
    tables = [table for table in TABLES if os.path.exists(table)]
    return frozenset(port for table in tables for port in _ports(table)) if tables else None


def _ports(table: str) -> Iterator[int]:
    with open(table, encoding="ascii") as lines:
        next(lines, None)
        for line in lines:
            fields = line.split(maxsplit=4)
            if fields[3] != LISTEN:  # listeners come first; connections may be thousands
                return
            yield int(fields[1].rpartition(":")[2], 16)

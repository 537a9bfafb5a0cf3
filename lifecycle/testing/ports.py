"""Ports that nobody has."""

from __future__ import annotations

import random
import socket
from typing import Final

_FIRST: Final = 20000
_LAST: Final = 32000
_TRIES: Final = 1000
_given: Final[set[int]] = set()


def free_port() -> int:
    """
    Return a TCP port that nobody listens on, and that this process has not given out before.

    It lies below the range that the kernel takes a client's own end of a connection from:
    so nobody gets it by chance before the app has bound it.
    """
    for _ in range(_TRIES):
        port = random.randrange(_FIRST, _LAST)  # noqa: S311 - no secret
        if port in _given:
            continue
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise OSError(f"no free port between {_FIRST} and {_LAST}")

"""Free TCP ports for tests."""

from __future__ import annotations

import fcntl
import functools
import os
import random
import socket
import tempfile
from typing import Final

_FIRST: Final = 20000
_LAST: Final = 32000
_TRIES: Final = 1000
_draw: Final = random.SystemRandom()  # tests seed the global one, which would give the same ports
_given: Final[set[int]] = set()


def free_port() -> int:
    """
    Return a TCP port that is free, and was given to no process of this user.

    The port is below the range from which the kernel takes ports for outgoing connections. No
    connection can therefore take it by chance before the app has bound it.
    """
    for _ in range(_TRIES):
        port = _draw.randrange(_FIRST, _LAST)
        if port not in _given and _is_free(port) and _claim(port):
            _given.add(port)
            return port
    raise OSError(f"no free port between {_FIRST} and {_LAST}")


def _is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("", port))
        except OSError:
            return False
    return True


def _claim(port: int) -> bool:
    """Claim a port, so that no other process gets it until this one ends."""
    try:
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@functools.cache
def _claims() -> int:
    path = os.path.join(tempfile.gettempdir(), f"lifecycle-ports-{os.getuid()}")
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

"""
TCP keepalive for a watch.

A watch may be silent for minutes. If the machine of the API server is gone without a word, only the
kernel can find out.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any, Final

IDLE: Final = 15
"""Seconds of silence before the kernel asks whether the other side is there."""
EVERY: Final = 5
"""Seconds between two questions."""
MOST: Final = 3
"""Questions without an answer, after which the connection is lost."""


def notice_death(sock: Any) -> None:
    """
    Let the kernel end a connection whose other side is gone, after `IDLE + EVERY * MOST` seconds.

    Args:
        sock: The socket, or None. A system without these options is left as it is.
    """
    wanted = (("TCP_KEEPIDLE", IDLE), ("TCP_KEEPINTVL", EVERY), ("TCP_KEEPCNT", MOST))
    with contextlib.suppress(AttributeError, OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in wanted:
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

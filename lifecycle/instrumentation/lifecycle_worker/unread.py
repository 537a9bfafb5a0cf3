"""A connection with bytes that nobody has taken is not idle: to close it now would lose them."""

from __future__ import annotations

import socket
import struct
import sys
from select import poll

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

POLLIN = 1
_AGES = struct.Struct("=44xI4xI")
"""Of the kernel's `tcp_info`: how long ago data was last sent and last received, in ms."""


def has_unread(fd: int, make_poll: Callable[[], Any] = poll) -> bool:
    """
    Tell whether a socket has unread bytes, or its client's end.

    Args:
        fd: Its descriptor.
        make_poll: The real `select.poll`, where gevent has put its own there.
    """
    waiting = make_poll()
    waiting.register(fd, POLLIN)
    return bool(waiting.poll(0))


def is_half_read(sock: Any) -> bool:
    """
    Tell whether something has come on a socket with TLS since its last answer (Linux).

    The first half of a record has been read, and is known to nobody until the second has come.

    Args:
        sock: The socket below TLS, or around it.
    """
    if sys.platform != "linux":
        return False
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _AGES.size)
        sent, received = _AGES.unpack(info)
    except (OSError, struct.error):  # no TCP
        return False
    return bool(received < sent)

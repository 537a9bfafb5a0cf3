"""Unread bytes: a connection that has some is not idle, because closing it would lose them."""

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
"""The fields of the kernel's `tcp_info` with the age of the last sent and received data, in ms."""


def has_unread(fd: int, make_poll: Callable[[], Any] = poll) -> bool:
    """
    Return whether a socket has unread bytes, or its client's end.

    Args:
        fd: The descriptor.
        make_poll: The real `select.poll`, in case gevent has replaced it.
    """
    waiting = make_poll()
    waiting.register(fd, POLLIN)
    return bool(waiting.poll(0))


def is_half_read(sock: Any) -> bool:
    """
    Return whether bytes have arrived on a TLS socket since its last response (Linux).

    The first half of a TLS record may have been read already. Only TLS itself can see it until the
    second half arrives.

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

"""A connection with bytes that nobody has read is not idle: to close it now would lose them."""

from __future__ import annotations

from select import poll

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

POLLIN = 1


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

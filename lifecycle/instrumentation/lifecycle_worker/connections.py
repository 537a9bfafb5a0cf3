"""Shared code for servers on an asyncio loop: serving, and closing idle connections."""

from __future__ import annotations

from functools import partial

from .unread import has_unread, is_half_read
from .worker import worker

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

GOING_AWAY = 1001
PATIENCE = 1.0
"""Seconds for a client to read the end of a long-lived connection."""
LINGER = 5.0
"""Seconds for a client that continues to send, and reads the 1001 after its unread data."""


def serves_on(loop: Any, server: str, close_idle: Callable[[], object]) -> bool:
    """
    Report that this process serves on a loop, unless this server has already reported it.

    Args:
        loop: The asyncio loop. Call this on it, or before it runs.
        server: The name of the server.
        close_idle: Closes idle connections, and ends long-lived ones.

    Returns:
        True if it is on the board from now on.
    """
    if worker.board is None or close_idle in worker.closers:
        return False
    worker.closes(close_idle)

    def again() -> None:
        if worker.slot is not None or worker.serves(server, again=later):
            worker.beat_on(loop)

    later = partial(loop.call_soon_threadsafe, again)
    if not worker.serves(server, again=later):
        return False
    worker.beat_on(loop)
    return True


def unread(sock: Any) -> bool:
    """
    Return whether a socket has unread bytes. Closing it then would reset the connection.

    Args:
        sock: An object with `fileno()`, or None, which has no bytes.
    """
    return sock is not None and sock.fileno() >= 0 and has_unread(sock.fileno())


def is_quiet(transport: Any) -> bool:
    """Return whether an asyncio transport is open, and has no bytes that it has not passed on."""
    if transport is None or transport.is_closing():
        return False
    sock = transport.get_extra_info("socket")
    if transport.get_extra_info("sslcontext") is not None and is_half_read(sock):
        return False
    return not unread(sock)


def end(transport: Any) -> None:
    """End a transport for its client at once. Its close comes one turn of the loop later."""
    try:
        if transport.can_write_eof():
            transport.write_eof()
    except (OSError, RuntimeError, NotImplementedError):
        pass

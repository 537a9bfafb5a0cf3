"""What servers on an asyncio loop have in common: how they serve, and how what is idle is closed."""

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
"""Seconds that a client has to take the end of what never ends by itself."""
LINGER = 5.0
"""Seconds that it has if it goes on sending: it will see the 1001 behind what it has not read."""


def serves_on(loop: Any, server: str, close_idle: Callable[[], object]) -> bool:
    """
    Say that this process serves on a loop, unless this server has said it.

    Args:
        loop: The asyncio loop; called on it, or before it runs.
        server: The server's name.
        close_idle: Closes what is idle, and ends what never ends by itself.

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
    Tell whether something has come on a socket that nobody has read: its close would be a reset.

    Args:
        sock: Anything with `fileno()`; None has nothing.
    """
    return sock is not None and sock.fileno() >= 0 and has_unread(sock.fileno())


def is_quiet(transport: Any) -> bool:
    """Tell whether an asyncio transport is open, and nothing has come that it has not passed on."""
    if transport is None or transport.is_closing():
        return False
    sock = transport.get_extra_info("socket")
    if transport.get_extra_info("sslcontext") is not None and is_half_read(sock):
        return False
    return not unread(sock)


def end(transport: Any) -> None:
    """Have the client of an asyncio transport know now: its close comes a turn of the loop later."""
    try:
        if transport.can_write_eof():
            transport.write_eof()
    except (OSError, RuntimeError, NotImplementedError):
        pass

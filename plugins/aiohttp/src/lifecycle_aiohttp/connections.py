"""Closes idle connections while the server still listens, without losing a request."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Container, Iterable
from contextlib import suppress

LOOKS = 100
PAUSE = 0.01
"""The number of checks, and the pause between them, in which a connection may read a request."""
TURNS = 3
"""Turns of the loop after which a request that was read is being handled."""


async def close_idle(
    connections: Iterable[asyncio.Transport], busy: Container[asyncio.Transport]
) -> None:
    """
    Close the connections without a running request.

    A busy connection is not closed, because its response has `Connection: close` and ends it. A
    connection with a new unread request is not closed either, because closing would reset it.

    Args:
        connections: The connections of the server.
        busy: The connections with a running request. May change meanwhile.
    """
    waiting = list(connections)
    for _ in range(LOOKS):
        # While reading is paused, a request is either being handled or still in the kernel.
        paused = [each for each in waiting if each.is_reading()]
        for each in paused:
            each.pause_reading()
        for _ in range(TURNS):
            await asyncio.sleep(0)
        idle = [each for each in waiting if each not in busy and not each.is_closing()]
        waiting = [each for each in idle if _has_unread(each)]
        for each in set(idle).difference(waiting):
            if each.can_write_eof():
                with suppress(OSError):
                    each.write_eof()  # at once, since close() waits for one turn
            each.close()
        for each in paused:
            if not each.is_closing():
                each.resume_reading()
        if not waiting:
            return
        await asyncio.sleep(PAUSE)


def _has_unread(connection: asyncio.Transport) -> bool:
    sock = connection.get_extra_info("socket")
    if sock is None or sock.fileno() == -1:
        return False
    look = select.poll()
    look.register(sock.fileno(), select.POLLIN)
    return bool(look.poll(0))

"""Closing idle connections while the listener stays open, without cutting off what has come."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Container, Iterable
from contextlib import suppress

LOOKS = 100
PAUSE = 0.01
"""How often, and with which pause, a connection is left to read what has come."""
TURNS = 3
"""Turns of the loop after which what was read is a request that is being handled."""


async def close_idle(
    connections: Iterable[asyncio.Transport], busy: Container[asyncio.Transport]
) -> None:
    """
    Close the connections on which nothing is under way.

    A busy one is left alone: its response says `Connection: close`, and ends it. Neither is
    one closed over a request that has come meanwhile, which would reset it.
    """
    waiting = list(connections)
    for _ in range(LOOKS):
        # While nothing is read, a request is either being handled or still in the kernel.
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
                    each.write_eof()  # now; the close itself comes a turn of the loop later
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

"""
Starting while another worker of the same server, which is about to end, has the QOS port.

A server that recycles its workers (granian at HUP and with `--workers-lifetime`, gunicorn at HUP)
starts the new one before it ends the old one. The new one waits, and nobody's loop is held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeAlias

from lifecycle.control.backoff import until_done
from lifecycle.drain.kernel_sockets import is_listening
from lifecycle.exceptions import PortUnavailable
from lifecycle.log import Log
from lifecycle.qos.port_holder import PortHolder, PortTaken, is_fellow, lives

RECYCLE_TIMEOUT: Final = 30.0
"""Seconds that a new worker waits, unless told otherwise, for the one that it replaces to end."""
FIRST: Final = 0.02
LONGEST: Final = 0.2
"""Seconds between two looks whether the port is free."""


Start: TypeAlias = Callable[[], Awaitable[object]]


async def start_after(start: Start, port: int, patience: float, log: Log) -> None:
    """
    Start a lifecycle; where another worker of the same server has its QOS port, after that one.

    Args:
        start: Starts it, and raises `PortTaken` if somebody has the port.
        port: Its QOS port.
        patience: Seconds that are waited, from the first refusal on.
        log: Its log.

    Raises:
        LifecycleError: It cannot start. PortUnavailable: the port is not free in time, or its
            holder is no worker of the same server and will not end.
    """
    try:
        await _start_after(start, port, patience, log)
    except BaseException:
        log.close(0)  # what it has said of its waiting has a thread
        raise


async def _start_after(start: Start, port: int, patience: float, log: Log) -> None:
    refused = await _refusal(start)
    if refused is None:
        return
    until = asyncio.get_running_loop().time() + patience
    log.warning(
        "waiting for the QOS port",
        port=port,
        holder=str(refused.found),
        timeout=patience,
        hint="a server that recycles its workers starts the new one first",
    )
    while refused is not None:
        try:
            async with asyncio.timeout_at(until):
                await asyncio.sleep(FIRST)  # what is not seen to listen may be refused all the same
                look = partial(_look, port, refused.found)
                await until_done(look, first=FIRST, longest=LONGEST)
        except TimeoutError:
            raise PortUnavailable(_too_long(refused, patience)) from None
        refused = await _refusal(start)


async def _refusal(start: Start) -> PortTaken | None:
    """
    Start it; return why not, if that is another worker, for which it is worth to wait.

    Raises:
        PortTaken: Anybody else has the port, who does not end because this worker starts.
    """
    refused = await _started(start)
    if refused is not None and refused.found is None:
        refused = await _started(start)  # perhaps it was given back while its holder was looked for
    if refused is not None and (refused.found is None or not is_fellow(refused.found)):
        raise refused
    return refused


async def _started(start: Start) -> PortTaken | None:
    try:
        await start()
    except PortTaken as refused:
        return refused
    return None


async def _look(port: int, found: PortHolder | None) -> None:
    # Once it has ended, a port that is still in use is somebody else's: it is looked up anew.
    if is_listening(port) and (found is None or lives(found)):
        raise OSError(f"port {port} is in use")


def _too_long(refused: PortUnavailable, patience: float) -> str:
    return (
        f"{refused}. This worker waited {patience:g} s for the other one to end, because a server "
        "that recycles its workers starts the new one first. If yours does so and takes longer, "
        "raise recycle_timeout: Managed(app, recycle_timeout=60)"
    )

"""
Starts a worker while an old worker of the same server still uses the QOS port.

A server that recycles its workers (granian at HUP and with `--workers-lifetime`, gunicorn at HUP)
starts the new worker before it ends the old one. The new worker waits, without blocking its loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeAlias

from lifecycle.control.backoff import until_done
from lifecycle.drain.kernel_sockets import is_listening
from lifecycle.exceptions import PortUnavailable
from lifecycle.links import help_page
from lifecycle.log import Log
from lifecycle.qos.port_holder import PortHolder, PortTaken, is_fellow, lives

RECYCLE_TIMEOUT: Final = 30.0
"""Seconds that a new worker waits for the old one to end, by default."""
FIRST: Final = 0.02
LONGEST: Final = 0.2
"""Seconds between two checks whether the port is free."""


Start: TypeAlias = Callable[[], Awaitable[object]]


async def start_after(start: Start, port: int, patience: float, log: Log) -> None:
    """
    Start a `Lifecycle`, and wait if another worker of the same server uses its QOS port.

    Args:
        start: Starts the `Lifecycle`. Raises `PortTaken` if the port is in use.
        port: The QOS port.
        patience: Seconds to wait, from the first refusal on.
        log: The log.

    Raises:
        LifecycleError: The start failed.
        PortUnavailable: The port is not free in time, or another program uses it.
    """
    try:
        await _start_after(start, port, patience, log)
    except BaseException:
        log.close(0)  # ends the thread of the log
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
        hint="Some servers start a new worker before the old one has ended.",
        see=help_page("waiting-for-the-qos-port"),
    )
    while refused is not None:
        try:
            async with asyncio.timeout_at(until):
                await asyncio.sleep(FIRST)  # the holder may not listen yet
                look = partial(_look, port, refused.found)
                await until_done(look, first=FIRST, longest=LONGEST)
        except TimeoutError:
            raise PortUnavailable(
                _too_long(refused, patience), see="old-worker-still-runs"
            ) from None
        refused = await _refusal(start)


async def _refusal(start: Start) -> PortTaken | None:
    """
    Call `start`. Return the refusal if another worker of the same server uses the port.

    Raises:
        PortTaken: Another program uses the port. Waiting for it makes no sense.
    """
    refused = await _started(start)
    if refused is not None and refused.found is None:
        refused = await _started(start)  # the port may be free by now
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
    # If this process has ended, another one uses the port, and must be looked up again.
    if is_listening(port) and (found is None or lives(found)):
        raise OSError(f"port {port} is in use")


def _too_long(refused: PortUnavailable, patience: float) -> str:
    return (
        f"{refused} This worker waited {patience:g} s for the other one to end, because a server "
        "that recycles its workers starts the new one first. If your server does so and takes "
        "longer, raise recycle_timeout: Managed(app, recycle_timeout=60)."
    )

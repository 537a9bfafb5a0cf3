"""Waiting until a port is open, for servers that do not report it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from lifecycle.control.backoff import until_done
from lifecycle.drain.kernel_sockets import is_listening, listeners
from lifecycle.links import help_page
from lifecycle.log import Log

PATIENCE: Final = 10.0
"""Seconds after which a closed port causes a warning, because it may be the wrong port."""


async def until_listening(
    port: int,
    name: str,
    log: Log,
    *,
    patience: float = PATIENCE,
    elsewhere: Callable[[], Iterable[int]] = tuple,
) -> None:
    """
    Wait until something listens on a port of this machine. The port is polled.

    Args:
        port: The port.
        name: The name of the app service, for the warning.
        log: The logger for one warning, if it takes long.
        patience: Seconds until the warning.
        elsewhere: Returns the ports on which the app does listen, for the warning.
    """

    async def look() -> None:
        if not is_listening(port):
            raise ConnectionError(f"nothing listens on port {port}")

    late = asyncio.get_running_loop().call_later(patience, _say_closed, port, name, log, elsewhere)
    try:
        await until_done(look, first=0.02, longest=0.5)
    finally:
        late.cancel()


def say_listening(ports: Iterable[int], log: Log) -> None:
    """
    Log the addresses at which the app listens, once its ports are open.

    Args:
        ports: The ports of the app services.
        log: The logger.
    """
    log.info("listening", on=listeners(ports))


def _say_closed(port: int, name: str, log: Log, elsewhere: Callable[[], Iterable[int]]) -> None:
    ports = ", ".join(map(str, sorted(elsewhere())))
    why = (
        f"The command listens on port {ports} instead. If that is the port of {name}, correct the "
        "port of the service"
        if ports
        else "The app may still be starting. If it listens on another port, correct the port of the "
        "service"
    )
    log.warning(
        "waiting for a port",
        service=name,
        port=port,
        hint=f"nothing listens on port {port}, so {name} is not ready. {why}",
        see=help_page("waiting-for-a-port"),
    )

"""
The services of a command: exported once a worker serves, and then READY.

An open port proves nothing: the kernel accepts for a master whose workers are not there yet. So it
counts only where no worker can be asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

from lifecycle.calls.until_first import until_first
from lifecycle.drain.kernel_sockets import is_listening
from lifecycle.exceptions import AlreadyExported, Draining, RegistrationRefused
from lifecycle.process.command.workers import Workers
from lifecycle.process.exit_status import show
from lifecycle.runtime import Lifecycle, core_of
from lifecycle.serving.port_wait import until_listening

GREETED_WITHIN: Final = 0.3
"""Seconds from the open port on in which word has come from a Python that finds us: it greets as it
starts, long before it opens a port."""
PATIENCE: Final = 10.0
"""Seconds more after which it is said what is waited for."""
TOLD_WITHIN: Final = 3.0
"""Seconds from the open port on in which a server that we know has told that it was imported."""


async def make_ready(
    life: Lifecycle,
    services: Iterable[tuple[str, int]],
    fail: Callable[[str], None],
    workers: Workers | None,
) -> None:
    """
    Export services once they are served, and become ready.

    Args:
        life: The lifecycle.
        services: Names and ports.
        fail: Called with the reason if it will never be ready.
        workers: Who tells when they serve; None: nobody does.
    """
    known = list(services)
    if not known:
        life.log.warning(
            "no services",
            hint="READY at once; if the command serves something, say --service NAME:PORT",
        )
    try:
        core_of(life).traffic.in_use = bool(known)  # the workers count, or the kernel does
        if workers is not None and known:
            await _until_serving(life, workers, known)
        for name, port in known:
            await until_listening(port, name, life.log)
            life.export(name, port=port)
        await life.ready()
    except Draining:
        return
    except (RegistrationRefused, AlreadyExported) as refused:
        fail(f"registration refused: {refused}")
    except Exception as error:  # noqa: BLE001 - else it would never be READY, without a word
        show(error)
        fail(f"it could not become ready: {type(error).__name__}: {error}")


async def _until_serving(
    life: Lifecycle, workers: Workers, known: Sequence[tuple[str, int]]
) -> None:
    await until_first(workers.serving.wait(), _until_unknown(life, workers, known))
    if workers.serving.is_set():
        return
    if workers.failed:
        why = f"it does not fit this version of {', '.join(sorted(workers.failed))}"
    elif workers.greeted.is_set():
        why = "none of its processes has imported a server that is known"
    else:
        why = (
            "it is not Python, or was started with -I, -E or -S, without our PYTHONPATH, "
            "or as another user"
        )
    life.log.warning(
        "not instrumented",
        why=why,
        hint="the app is READY because its port is open. In a drain, clients with keep-alive "
        "connections may not be told to close them, and may then lose requests",
    )


async def _until_unknown(
    life: Lifecycle, workers: Workers, known: Sequence[tuple[str, int]]
) -> None:
    """Return once the ports are open, and nobody will ever tell that he serves."""
    # An inherited socket is open before the command is.
    handed_on = any(is_listening(port) for _, port in known)
    for name, port in known:
        await until_listening(port, name, life.log)
    with suppress(TimeoutError):
        async with asyncio.timeout(GREETED_WITHIN):
            await workers.greeted.wait()
    if not handed_on and not workers.greeted.is_set():
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(TOLD_WITHIN):
            await workers.given_up.wait()
    if not workers.expected:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await workers.given_up.wait()
    if not workers.given_up.is_set():
        life.log.warning(
            "waiting for a worker",
            server=", ".join(sorted(workers.expected - workers.failed)),
            hint="its port is open, and no worker has said yet that it serves; "
            "with --instrument=no the open port is enough",
        )
    await workers.given_up.wait()

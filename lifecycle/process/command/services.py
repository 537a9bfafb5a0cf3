"""
The app services of a command, published once a worker serves. After that the app is READY.

An open port alone does not prove that the app serves. The kernel accepts connections for a master
process whose workers have not started. The open port therefore counts only if no worker can
report.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

from lifecycle.calls.until_first import until_first
from lifecycle.drain.kernel_sockets import is_listening
from lifecycle.drain.open_ports import ports_of
from lifecycle.exceptions import AlreadyExported, Draining, RegistrationRefused
from lifecycle.links import help_page
from lifecycle.process.command.processes import children, descendants, everybody
from lifecycle.process.command.workers import Workers
from lifecycle.process.exit_status import show
from lifecycle.runtime import Lifecycle, core_of
from lifecycle.serving.port_wait import say_listening, until_listening

GREETED_WITHIN: Final = 0.3
"""
Seconds after the port opens in which an instrumented Python must have reported. It reports when
it starts, long before it opens a port.
"""
PATIENCE: Final = 10.0
"""More seconds after which a log line names what the start waits for."""
TOLD_WITHIN: Final = 3.0
"""Seconds after the port opens in which a known server must have reported that it was imported."""


async def make_ready(
    life: Lifecycle,
    services: Iterable[tuple[str, int]],
    fail: Callable[[str], None],
    workers: Workers | None,
) -> None:
    """
    Publish the app services once a worker serves, and become READY.

    Args:
        life: The `Lifecycle` object.
        services: Names and ports of the app services.
        fail: Called with the reason if the app can never be ready.
        workers: The workers, which report when they serve, or None if they cannot report.
    """
    known = list(services)
    if not known:
        life.log.warning(
            "no services",
            hint="The app is READY at once. If the command serves traffic, add --service NAME:PORT",
            see=help_page("no-services"),
        )
    try:
        core_of(life).traffic.in_use = bool(
            known
        )  # requests are counted by the workers, or by the kernel
        if workers is not None and known:
            await _until_serving(life, workers, known)
        for name, port in known:
            await until_listening(port, name, life.log, elsewhere=ports_of_the_command)
            life.export(name, port=port)
        if known:
            say_listening((port for _, port in known), life.log)
        await life.ready()
    except Draining:
        return
    except (RegistrationRefused, AlreadyExported) as refused:
        life.log.error(  # noqa: TRY400
            "registration refused", reason=str(refused), see=help_page("registration-refused")
        )
        fail(f"registration refused: {refused}")
    except Exception as error:  # noqa: BLE001 - without this, READY never comes, and no log line says why
        show(error)
        fail(f"the app could not become ready: {type(error).__name__}: {error}")


def ports_of_the_command() -> frozenset[int]:
    """Return the ports on which the processes of the command listen."""
    roots = [each.pid for each in children()]
    return ports_of(each.pid for each in descendants(roots, everybody()))


async def _until_serving(
    life: Lifecycle, workers: Workers, known: Sequence[tuple[str, int]]
) -> None:
    await until_first(workers.serving.wait(), _until_unknown(life, workers, known))
    if workers.serving.is_set():
        return
    if workers.failed:
        why = (
            f"the instrumentation does not support this version of "
            f"{', '.join(sorted(workers.failed))}"
        )
    elif workers.greeted.is_set():
        why = "no process of the command has imported a server that the instrumentation supports"
    else:
        why = (
            "the command is not Python, or was started with -I, -E or -S, without the PYTHONPATH "
            "that lifecycle has set, or as another user"
        )
    life.log.warning(
        "not instrumented",
        why=why,
        hint="The app is READY because its port is open. In a drain, keep-alive connections may be "
        "closed without notice, and clients may lose requests on them",
        see=help_page("errors.md#not-instrumented"),
    )


async def _until_unknown(
    life: Lifecycle, workers: Workers, known: Sequence[tuple[str, int]]
) -> None:
    """Return once the ports are open and it is certain that no worker will report."""
    # An inherited socket is open before the command starts.
    handed_on = any(is_listening(port) for _, port in known)
    for name, port in known:
        await until_listening(port, name, life.log, elsewhere=ports_of_the_command)
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
            hint="The port is open, but no worker has reported yet that it serves. If the command "
            "does serve, add --instrument=no, so that the open port is enough",
            see=help_page("errors.md#waiting-for-a-worker"),
        )
    await workers.given_up.wait()

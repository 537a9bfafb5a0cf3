"""Making an unmodified main ready: its services are found by looking at their ports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lifecycle.exceptions import AlreadyExported, Draining, RegistrationRefused
from lifecycle.process.exit_status import show
from lifecycle.runtime import Lifecycle, core_of
from lifecycle.service_names import service_spec
from lifecycle.serving.port_wait import until_listening


async def make_ready(life: Lifecycle, fail: Callable[[str], None]) -> None:
    """
    Export the services that the settings name, each once its port is open, and become ready.

    Args:
        life: The lifecycle of a main that knows nothing of it.
        fail: Called with the reason if it will never be ready.
    """
    await asyncio.sleep(0)  # main's first step
    if not life.config.services:
        life.log.warning(
            "no services",
            hint="READY as soon as main first waits; set LIFECYCLE_SERVICES=NAME:PORT "
            "if it serves something",
        )
    try:
        await _export(life)
        await life.ready()
    except Draining:
        return
    except (RegistrationRefused, AlreadyExported) as refused:
        fail(f"registration refused: {refused}")
        return
    except Exception as error:  # noqa: BLE001 - else it would never be READY, without a word
        show(error)
        fail(f"it could not become ready: {type(error).__name__}: {error}")
        return
    if life.services and not core_of(life).traffic.in_use:
        life.log.warning(
            "nothing counted",
            hint="work in flight is waited for if it is counted: put "
            "lifecycle.asgi.Middleware around the app, or use track()",
        )


async def _export(life: Lifecycle) -> None:
    for name, port in map(service_spec, life.config.services):
        if port is not None:
            await until_listening(port, name, life.log)
        life.export(name, port=port)

"""Readiness of a main without changes, whose services are published once their ports open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lifecycle.exceptions import AlreadyExported, Draining, RegistrationRefused
from lifecycle.links import help_page
from lifecycle.process.exit_status import show
from lifecycle.runtime import Lifecycle, core_of
from lifecycle.service_names import service_spec
from lifecycle.serving.port_wait import say_listening, until_listening


async def make_ready(life: Lifecycle, fail: Callable[[str], None]) -> None:
    """
    Publish each app service of the settings once its port is open, and become READY.

    Args:
        life: The `Lifecycle` object, which this main does not use.
        fail: Called with the reason if the app can never be ready.
    """
    await asyncio.sleep(0)  # main's first step
    if not life.config.services:
        life.log.warning(
            "no services",
            hint="The app becomes READY at its first await. If it serves traffic, set "
            "LIFECYCLE_SERVICES=NAME:PORT",
            see=help_page("no-services"),
        )
    try:
        await _export(life)
        await life.ready()
    except Draining:
        return
    except (RegistrationRefused, AlreadyExported) as refused:
        life.log.error(  # noqa: TRY400
            "registration refused", reason=str(refused), see=help_page("registration-refused")
        )
        fail(f"registration refused: {refused}")
        return
    except Exception as error:  # noqa: BLE001 - without this, READY never comes, and no log line says why
        show(error)
        fail(f"the app could not become ready: {type(error).__name__}: {error}")
        return
    if life.services and not core_of(life).traffic.in_use:
        life.log.warning(
            "nothing counted",
            hint="A drain waits only for work that is counted. Put lifecycle.asgi.Middleware "
            "around the app, or use track()",
            see=help_page("nothing-counted"),
        )


async def _export(life: Lifecycle) -> None:
    services = [*map(service_spec, life.config.services)]
    for name, port in services:
        if port is not None:
            await until_listening(port, name, life.log)
        life.export(name, port=port)
    if ports := [port for _, port in services if port is not None]:
        say_listening(ports, life.log)

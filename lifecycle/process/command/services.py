"""The services of a command: exported once it serves, and then READY."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from lifecycle.exceptions import AlreadyExported, Draining, RegistrationRefused
from lifecycle.process.exit_status import show
from lifecycle.runtime import Lifecycle
from lifecycle.serving.port_wait import until_listening


async def make_ready(
    life: Lifecycle, services: Iterable[tuple[str, int]], fail: Callable[[str], None]
) -> None:
    """
    Export services, each once its port is open, and become ready.

    Args:
        life: The lifecycle.
        services: Names and ports.
        fail: Called with the reason if it will never be ready.
    """
    with suppress(Draining):
        try:
            for name, port in services:
                await until_listening(port)
                life.export(name, port=port)
            await life.ready()
        except (RegistrationRefused, AlreadyExported) as refused:
            fail(f"registration refused: {refused}")
        except Exception as error:  # noqa: BLE001 - else it would never be READY, without a word
            show(error)
            fail(f"it could not become ready: {type(error).__name__}: {error}")

"""Closes registries, each within its share of the time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from lifecycle.contracts import Registry
from lifecycle.exceptions import reason_of
from lifecycle.links import help_page
from lifecycle.log import Log


async def close(registries: Iterable[Registry], timeout: float, log: Log) -> None:
    """
    Close registries, the last one first.

    Args:
        registries: The registries, in the order in which they were opened.
        timeout: Seconds for all of them.
        log: The log for registries that raise.
    """
    now = asyncio.get_running_loop().time
    end = now() + timeout
    for left, registry in reversed(list(enumerate(registries, start=1))):
        # In a task, so that a registry that hangs uses only its share of the time.
        share = max(0.0, end - now()) / left
        closing = asyncio.create_task(_close(registry, log))
        await asyncio.wait({closing}, timeout=share)
        closing.cancel()


async def _close(registry: Registry, log: Log) -> None:
    try:
        await registry.__aexit__(None, None, None)
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - the next one must be closed too
        log.warning(
            "registry close",
            registry=registry.name,
            reason=reason_of(error),
            see=help_page("registry-not-closed"),
        )

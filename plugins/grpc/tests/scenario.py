"""Playing a scenario in a loop of its own, within a time."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable


def play(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario, and what its garbage has to say."""

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(bounded())
    gc.collect()  # here, and not in somebody else's test


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)

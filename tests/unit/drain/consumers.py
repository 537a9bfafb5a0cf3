"""Where a consumer's loop is played, and what it consumes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from lifecycle.config import Config
from lifecycle.drain.exit_code import Ending
from tests.unit.virtual_time import Stage, run


def on_stage(main: Callable[[Stage], Awaitable[None]], drain_at: float | None = None) -> None:
    """Run a consumer on the stage; draining begins so many seconds later."""

    async def play() -> None:
        stage = await Stage(Config()).open()
        if drain_at is not None:
            asyncio.get_running_loop().call_later(drain_at, stage.departure.begin, "test")
        await main(stage)
        stage.departure.main_ended(Ending(), "test")
        await stage.close()

    run(play())


async def numbers(ended: list[object] | None = None, *, every: float = 1.0) -> AsyncIterator[int]:
    """Yield 0, 1, 2, …; `ended` gets the task in which that ends."""
    number = 0
    try:
        while True:
            await asyncio.sleep(every)
            yield number
            number += 1
    finally:
        if ended is not None:
            ended.append(asyncio.current_task())

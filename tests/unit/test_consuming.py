"""A consumer's loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from lifecycle.config import Config
from lifecycle.departure import Ending
from tests.unit.virtual_time import Stage, run


def test_a_cancellation_of_the_sources_own_is_no_end() -> None:
    """A source whose inner task was cancelled raises that, as in a loop without us."""

    async def source() -> AsyncIterator[int]:
        yield 1
        inner = asyncio.create_task(asyncio.sleep(1000))
        inner.cancel()
        await inner
        yield 2

    async def main() -> None:
        stage = await Stage(Config()).open()
        items = stage.life.until_draining(source())
        assert await anext(items) == 1
        with pytest.raises(asyncio.CancelledError):
            await anext(items)
        stage.departure.main_ended(Ending(), "test")
        await stage.close()

    run(main())


def test_a_source_that_is_waited_for_ends_with_the_drain() -> None:
    """It is cancelled, and the loop ends as if there were nothing more."""

    async def source() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(1000)
        yield 2

    async def main() -> None:
        stage = await Stage(Config()).open()
        seen: list[int] = []
        asyncio.get_running_loop().call_later(5, stage.departure.begin, "test")
        async for each in stage.life.until_draining(source()):
            seen.append(each)
        assert seen == [1]
        stage.departure.main_ended(Ending(), "test")
        await stage.close()

    run(main())

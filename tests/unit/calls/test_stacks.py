"""What a task awaits, as seen from outside."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import anyio
import anyio.to_thread
import pytest
from asgiref.sync import sync_to_async

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.stacks import Straggler, await_chain, thread_stack


async def leaf() -> None:
    await asyncio.Event().wait()


async def plain() -> None:
    await leaf()


async def gathered() -> None:
    await asyncio.gather(asyncio.sleep(0), leaf())


async def in_a_task() -> None:
    await asyncio.create_task(leaf())


async def in_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(leaf())


async def waited_for() -> None:
    await asyncio.wait({asyncio.get_running_loop().create_future(), asyncio.create_task(leaf())})


async def in_time() -> None:
    await asyncio.wait_for(leaf(), 100)


async def shielded() -> None:
    await asyncio.shield(leaf())


async def shielded_and_gathered() -> None:
    await asyncio.shield(asyncio.shield(asyncio.gather(leaf(), leaf())))


async def shielded_in_time() -> None:
    await asyncio.wait_for(asyncio.shield(asyncio.create_task(leaf())), 100)


async def in_a_group_of_anyio() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(leaf)


async def in_a_generator() -> None:
    async def items() -> AsyncIterator[None]:
        await leaf()
        yield

    async for _ in items():
        pass


WAYS = [
    plain,
    gathered,
    waited_for,
    in_time,
    shielded,
    shielded_and_gathered,
    shielded_in_time,
    in_a_task,
    in_a_group,
    in_a_group_of_anyio,
    in_a_generator,
]


def names(lines: list[str]) -> list[str]:
    """Return the functions of a chain."""
    return [line.rpartition(" ")[2] for line in lines]


@pytest.mark.parametrize("way", WAYS)
def test_from_the_coroutine_to_the_last_await(way: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """However a task waits for something, the chain begins with its own function and ends there."""

    async def main() -> None:
        task = asyncio.create_task(way())
        for _ in range(5):
            await asyncio.sleep(0)
        found = names(await_chain(task))
        task.cancel()
        await asyncio.wait({task})
        assert found[0] == way.__name__
        assert found[-2:] == ["leaf", "wait"]

    asyncio.run(main())


@pytest.mark.parametrize("to_thread", [anyio.to_thread.run_sync, sync_to_async])
def test_into_the_thread_of_a_function(to_thread: Any) -> None:
    """As Starlette runs a `def` endpoint, and Django a view: each task stands in its own thread."""
    free, reached = threading.Event(), threading.Barrier(3)

    def left() -> None:
        reached.wait(10)
        assert free.wait(10)

    def right() -> None:
        left()

    def called(function: Callable[[], None]) -> Coroutine[Any, Any, None]:
        if to_thread is sync_to_async:
            return sync_to_async(function, thread_sensitive=False)()
        return to_thread(function)  # type: ignore[no-any-return]

    async def main() -> None:
        tasks = [asyncio.create_task(called(each)) for each in (left, right)]
        await asyncio.to_thread(reached.wait, 10)
        found = [names(await_chain(task)) for task in tasks]
        free.set()
        await asyncio.gather(*tasks)
        assert ["left" in each for each in found] == [True, True]
        assert ["right" in each for each in found] == [False, True]

    asyncio.run(main())


def test_tasks_that_wait_for_each_other() -> None:
    """A circle is followed once; a task that is done stands nowhere."""

    async def main() -> None:
        tasks: list[asyncio.Task[None]] = []

        async def wait_for(other: int) -> None:
            await asyncio.wait({tasks[other]})
            await tasks[other]

        tasks += [asyncio.create_task(wait_for(1)), asyncio.create_task(wait_for(0))]
        await asyncio.sleep(0)
        assert names(await_chain(tasks[0]))[0] == "wait_for"
        for each in tasks:
            each.cancel()
        await asyncio.wait(tasks)
        assert await_chain(tasks[0]) == []

    asyncio.run(main())


def test_a_main_that_waits_and_one_that_blocks() -> None:
    """What main awaits is named, or, if the loop does not come round, where its thread is."""
    time = [100.0]
    app_loop = AppLoop(lambda: time[0])

    async def main() -> None:
        app_loop.attach()
        task = asyncio.create_task(plain())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert names(app_loop.straggler(task).stack)[:2] == ["plain", "leaf"]
        time[0] += 5  # no heartbeat for so long
        assert "main" in names(app_loop.straggler(task).stack)
        time[0] -= 5
        app_loop.describe = lambda: Straggler("2 connections", [])
        assert app_loop.straggler(task) == ("2 connections", [])
        task.cancel()
        await asyncio.wait({task})
        app_loop.detach()

    asyncio.run(main())


def test_a_thread_that_is_gone() -> None:
    """It stands nowhere."""
    assert thread_stack(0) == []

"""A consumer's loop is in all but its end the loop that it is without us."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Any

import anyio
import pytest

from lifecycle.runtime import Lifecycle
from tests.unit.drain.consumers import numbers, on_stage
from tests.unit.virtual_time import Stage, hang_for_ever, now, until

WHO = contextvars.ContextVar("who", default="nobody")

Wrap = Callable[[Lifecycle, AsyncIterable[Any]], AsyncIterable[Any]]

PLAIN_OR_OURS = pytest.mark.parametrize(
    "wrap",
    [lambda _life, source: source, lambda life, source: life.until_draining(source)],
    ids=["plain", "ours"],
)
"""What is so in a loop without us is so in one with us: the test holds for both."""


@PLAIN_OR_OURS
def test_exceptions_come_through(wrap: Wrap) -> None:
    """What the source raises reaches the consumer as it is: a cancellation of its own too."""

    async def main(stage: Stage) -> None:
        for error in (ValueError("no"), TimeoutError("slow"), asyncio.CancelledError("inner")):

            async def source(error: BaseException = error) -> AsyncIterator[int]:
                yield 1
                raise error

            items = aiter(wrap(stage.life, source()))
            assert await anext(items) == 1
            with pytest.raises(type(error)) as caught:
                await anext(items)
            assert caught.value is error

    on_stage(main)


@PLAIN_OR_OURS
def test_a_cancellation_of_the_sources_own_is_no_end(wrap: Wrap) -> None:
    """A source whose inner task was cancelled raises that."""

    async def source() -> AsyncIterator[int]:
        yield 1
        inner = asyncio.create_task(asyncio.sleep(1000))
        inner.cancel()
        await inner
        yield 2

    async def main(stage: Stage) -> None:
        items = aiter(wrap(stage.life, source()))
        assert await anext(items) == 1
        with pytest.raises(asyncio.CancelledError):
            await anext(items)

    on_stage(main)


@PLAIN_OR_OURS
def test_context_variables_go_both_ways(wrap: Wrap) -> None:
    """The source sees what the consumer has set, and the consumer what the source has."""
    seen = []

    async def source() -> AsyncIterator[int]:
        for number in range(3):
            seen.append(WHO.get())
            WHO.set(f"source {number}")
            yield number

    async def main(stage: Stage) -> None:
        WHO.set("before")
        async for number in wrap(stage.life, source()):
            seen.append(WHO.get())
            WHO.set(f"consumer {number}")
        assert seen == [
            *("before", "source 0"),
            *("consumer 0", "source 1"),
            *("consumer 1", "source 2"),
        ]

    on_stage(main)


@PLAIN_OR_OURS
def test_an_item_is_asked_for_only_when_the_consumer_asks(wrap: Wrap) -> None:
    """The source does not run ahead: what it has not been asked for is not fetched."""
    fetched = []

    async def source() -> AsyncIterator[int]:
        for number in range(10):
            fetched.append(number)
            yield number

    async def main(stage: Stage) -> None:
        items = wrap(stage.life, source())
        assert fetched == []
        async for number in items:
            await asyncio.sleep(10)
            assert fetched[-1] == number

    on_stage(main)


@PLAIN_OR_OURS
def test_a_timeout_around_the_yields(wrap: Wrap) -> None:
    """A source that gives itself 3.5 s in all is over by then."""

    async def source() -> AsyncIterator[int]:
        with suppress(TimeoutError):
            async with asyncio.timeout(3.5):
                async for number in numbers():
                    yield number

    async def main(stage: Stage) -> None:
        began = now()
        assert [each async for each in wrap(stage.life, source())] == [0, 1, 2]
        assert now() == began + 3.5

    on_stage(main)


@PLAIN_OR_OURS
def test_a_cancel_scope_around_the_yields(wrap: Wrap) -> None:
    """The same with anyio's scopes and task groups."""

    async def source() -> AsyncIterator[int]:
        async with anyio.create_task_group() as group:
            group.start_soon(hang_for_ever)
            with anyio.move_on_after(3.5):
                async for number in numbers():
                    yield number
            group.cancel_scope.cancel()

    async def main(stage: Stage) -> None:
        assert [each async for each in wrap(stage.life, source())] == [0, 1, 2]

    on_stage(main)


@pytest.mark.parametrize("work", [0.0, 10.0])
def test_a_cancel_scope_that_the_drain_ends(work: float) -> None:
    """Draining begins in the wait, or in the loop's body: the scope is left where it was entered."""
    left = []

    async def source() -> AsyncIterator[int]:
        async with anyio.create_task_group() as group, asyncio.TaskGroup() as other:
            group.start_soon(hang_for_ever)
            task = other.create_task(hang_for_ever())
            try:
                async for number in numbers():
                    yield number
            finally:
                left.append(asyncio.current_task())
                group.cancel_scope.cancel()
                task.cancel()

    async def main(stage: Stage) -> None:
        seen = []
        async for number in stage.life.until_draining(source()):
            await asyncio.sleep(work)
            seen.append(number)
        assert seen == ([0, 1] if not work else [0])
        assert left == [asyncio.current_task()]

    on_stage(main, drain_at=2.5)


@PLAIN_OR_OURS
def test_a_consumer_that_is_cancelled_in_the_wait(wrap: Wrap) -> None:
    """The source is cancelled with it, has ended, and can be closed."""
    ended = []

    async def source() -> AsyncIterator[int]:
        try:
            yield 1
            await hang_for_ever()
        finally:
            await asyncio.sleep(0.1)
            ended.append(asyncio.current_task())

    async def main(stage: Stage) -> None:
        items: Any = source()

        async def consume() -> None:
            async for _ in wrap(stage.life, items):
                pass

        consumer = asyncio.create_task(consume())
        await asyncio.sleep(1)
        consumer.cancel()
        await asyncio.wait({consumer})
        assert consumer.cancelled()
        assert ended == [consumer]
        await items.aclose()

    on_stage(main)


def test_a_source_that_cannot_be_closed_says_why() -> None:
    """An error of its clean-up between two items reaches the consumer, a task group's too."""

    async def failing_group() -> AsyncIterator[int]:
        async with asyncio.TaskGroup():
            try:
                yield 1
            finally:
                raise ValueError("close")

    async def failing() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise ValueError("close")

    async def main(stage: Stage) -> None:
        for source, error in ((failing, ValueError), (failing_group, ExceptionGroup)):
            items = stage.life.until_draining(source())
            assert await anext(items) == 1
            with pytest.raises(error):
                await items.aclose()

    on_stage(main)


def test_closing_the_loop_closes_the_source() -> None:
    """`aclosing(life.until_draining(…))`: what is left early is cleaned up at once, in this task."""
    ended: list[object] = []

    async def main(stage: Stage) -> None:
        async with aclosing(stage.life.until_draining(numbers(ended))) as items:
            async for _ in items:
                break
        assert ended == [asyncio.current_task()]
        assert stage.core.traffic.in_flight == 0
        await until(lambda: len(asyncio.all_tasks()) == 2, within=1)  # this one, and the departure

    on_stage(main)

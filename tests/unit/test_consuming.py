"""A consumer's loop: it ends with the drain, and is in all else the loop that it is without us."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

import anyio
import pytest

from lifecycle.config import Config
from lifecycle.departure import Ending
from lifecycle.runtime import Lifecycle
from tests.unit.virtual_time import Stage, hang_for_ever, now, run, until

WHO = contextvars.ContextVar("who", default="nobody")

Wrap = Callable[[Lifecycle, AsyncIterable[Any]], AsyncIterable[Any]]

PLAIN_OR_OURS = pytest.mark.parametrize(
    "wrap",
    [lambda _life, source: source, lambda life, source: life.until_draining(source)],
    ids=["plain", "ours"],
)
"""What is so in a loop without us is so in one with us: the test holds for both."""


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


async def numbers(*, every: float = 1.0) -> AsyncIterator[int]:
    """Yield 0, 1, 2, …"""
    number = 0
    while True:
        await asyncio.sleep(every)
        yield number
        number += 1


# It ends with the drain


def test_a_source_that_is_waited_for_ends_with_the_drain() -> None:
    """The wait is cancelled, at once, and the loop ends as if there were nothing more."""
    ended = []

    async def source() -> AsyncIterator[int]:
        yield 1
        try:
            await hang_for_ever()
        finally:
            ended.append(asyncio.current_task())
        yield 2

    async def main(stage: Stage) -> None:
        began = now()
        seen = [each async for each in stage.life.until_draining(source())]
        assert (seen, now()) == ([1], began + 5)
        task = asyncio.current_task()
        assert ended == [task]
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(1)  # it is not cancelled afterwards either

    on_stage(main, drain_at=5)


def test_an_item_that_is_at_work_is_finished() -> None:
    """Draining that begins in the loop's body: the item is in flight until the next is asked for."""
    ended = []

    async def source() -> AsyncIterator[int]:
        try:
            async for number in numbers():
                yield number
        finally:
            ended.append(asyncio.current_task())

    async def main(stage: Stage) -> None:
        seen = []
        async for number in stage.life.until_draining(source()):
            assert stage.life._traffic.in_flight == 1
            await asyncio.sleep(10)
            seen.append(number)
        assert seen == [0]
        assert stage.life._traffic.in_flight == 0
        assert ended == [asyncio.current_task()]

    on_stage(main, drain_at=5)


def test_draining_already() -> None:
    """Nothing is asked for any more."""

    async def main(stage: Stage) -> None:
        stage.departure.begin("test")
        assert [each async for each in stage.life.until_draining(numbers())] == []

    on_stage(main)


class Iterator:
    """An iterator that is no generator: a client library's."""

    def __init__(self) -> None:
        self.asked = 0

    def __aiter__(self) -> Iterator:
        return self

    async def __anext__(self) -> int:
        self.asked += 1
        await asyncio.sleep(1)
        if self.asked > 3:
            raise StopAsyncIteration
        return self.asked


@pytest.mark.parametrize(("drain_at", "seen"), [(2.5, [1, 2]), (None, [1, 2, 3])])
def test_an_iterator_that_is_no_generator(drain_at: float | None, seen: list[int]) -> None:
    """It ends with the drain, or by itself."""

    async def main(stage: Stage) -> None:
        assert [each async for each in stage.life.until_draining(Iterator())] == seen

    on_stage(main, drain_at)


def test_what_a_source_gives_when_it_is_cancelled() -> None:
    """A last item that it yields instead of waiting on is passed on; then the loop ends."""

    async def source() -> AsyncIterator[str]:
        yield "first"
        try:
            await hang_for_ever()
        except asyncio.CancelledError:
            yield "last"
        yield "too late"

    async def main(stage: Stage) -> None:
        seen = [each async for each in stage.life.until_draining(source())]
        assert seen == ["first", "last"]

    on_stage(main, drain_at=5)


@pytest.mark.parametrize("error", [ValueError("close"), TimeoutError("close")])
def test_what_a_source_raises_when_it_is_cancelled(error: Exception) -> None:
    """Its clean-up fails with words of its own: they reach the consumer."""

    async def source() -> AsyncIterator[int]:
        try:
            await hang_for_ever()
        finally:
            raise error
        yield 1

    async def main(stage: Stage) -> None:
        with pytest.raises(type(error), match="close") as caught:
            async for _ in stage.life.until_draining(source()):
                pass
        assert caught.value is error

    on_stage(main, drain_at=5)


def test_a_consumer_that_is_cancelled_as_draining_begins() -> None:
    """His own cancellation is his own: it is not taken for the end of the loop."""

    async def main(stage: Stage) -> None:
        after = []

        async def consume() -> None:
            async for _ in stage.life.until_draining(numbers(every=100)):
                pass
            after.append(True)

        consumer = asyncio.create_task(consume())
        await asyncio.sleep(1)
        stage.departure.begin("test")
        consumer.cancel()
        await asyncio.wait({consumer})
        assert consumer.cancelled()
        assert after == []

    on_stage(main)


# In all else it is the loop that it is without us


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
    ended = []

    async def source() -> AsyncIterator[int]:
        try:
            async for number in numbers():
                yield number
        finally:
            ended.append(asyncio.current_task())

    async def main(stage: Stage) -> None:
        async with aclosing(stage.life.until_draining(source())) as items:
            async for _ in items:
                break
        assert ended == [asyncio.current_task()]
        assert stage.life._traffic.in_flight == 0
        await until(lambda: len(asyncio.all_tasks()) == 2, within=1)  # this one, and the departure

    on_stage(main)

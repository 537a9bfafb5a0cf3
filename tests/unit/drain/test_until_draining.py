"""A consumer's loop ends with the drain: in the wait for an item, or after the item at work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, aclosing, nullcontext

import pytest

from lifecycle import Config, Lifecycle, NotRunning
from lifecycle.drain.until_draining import until_draining
from lifecycle.states import State
from tests.unit.drain.consumers import numbers, on_stage
from tests.unit.virtual_time import Stage, hang_for_ever, now


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
    ended: list[object] = []

    async def main(stage: Stage) -> None:
        seen = []
        async for number in stage.life.until_draining(numbers(ended)):
            assert stage.core.traffic.in_flight == 1
            await asyncio.sleep(10)
            seen.append(number)
        assert seen == [0]
        assert stage.core.traffic.in_flight == 0
        assert ended == [asyncio.current_task()]

    on_stage(main, drain_at=5)


def test_an_item_has_the_name_of_its_source() -> None:
    """The function that yields, or the class of another iterator."""

    async def main(stage: Stage) -> None:
        steps = Steps()
        steps.item.set_result(1)
        for source, name in ((numbers([]), "numbers"), (steps, "Steps")):
            async with aclosing(stage.life.until_draining(source)) as items:
                await anext(items)
                assert stage.core.traffic.names() == [f"item of {name}"]

    on_stage(main, drain_at=5)


def test_draining_already() -> None:
    """Nothing is asked for any more."""

    async def main(stage: Stage) -> None:
        stage.departure.begin("test")
        assert [each async for each in stage.life.until_draining(numbers())] == []

    on_stage(main)


def test_not_started() -> None:
    """It is refused at once, before anything is asked for: nobody would ever end the loop."""
    asked = []

    async def source() -> AsyncIterator[int]:
        asked.append(True)
        yield 1

    with pytest.raises(NotRunning, match="has not been started"):
        Lifecycle(Config()).until_draining(source())
    assert asked == []


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


class Steps:
    """A consumer whose draining begins, and an iterator whose only item comes, at given steps."""

    def __init__(self) -> None:
        self.drains: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.item: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def draining(self) -> bool:
        return self.drains.done()

    async def reached(self, state: State) -> None:
        await self.drains

    def track(self, *, name: str) -> AbstractContextManager[object]:
        return nullcontext()

    def __aiter__(self) -> AsyncIterator[int]:
        return self

    async def __anext__(self) -> int:
        return await self.item


@pytest.mark.parametrize("drain_at", range(5))
@pytest.mark.parametrize("item_at", range(8))
def test_an_item_that_comes_in_the_step_in_which_draining_begins(
    drain_at: int, item_at: int
) -> None:
    """Whichever is first by a step of the loop: the item is whole or not taken, nothing breaks."""
    broken: list[object] = []
    seen: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: broken.append(context))
        steps = Steps()

        async def consume() -> None:
            async for item in until_draining(steps, steps):
                seen.append(item)
                if not steps.draining:
                    await hang_for_ever()

        task = asyncio.create_task(consume())
        for step in range(12):
            if step == drain_at:
                steps.drains.set_result(None)
            if step == item_at and not steps.item.done():
                steps.item.set_result(1)
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    assert broken == []
    assert seen in ([], [1])

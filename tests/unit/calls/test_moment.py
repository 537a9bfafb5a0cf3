"""What happens once, and who waits for it on any loop."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lifecycle.calls.moment import Moment
from lifecycle.calls.threads import run_soon
from lifecycle.exceptions import Draining
from tests.unit.virtual_time import how_many_wait

LIMIT = 10


def test_a_moment_happens_once() -> None:
    """The first to set it decides; later ones, and a failure, change nothing."""

    async def main() -> None:
        moment: Moment[int] = Moment()
        assert not moment.happened
        waiting = asyncio.create_task(moment.wait())
        await asyncio.sleep(0)
        moment.set(1)
        moment.set(2)
        moment.fail(ValueError("late"))
        assert moment.happened
        assert await waiting == 1
        assert await moment.wait() == 1
        assert how_many_wait(moment) == 0

    asyncio.run(main())


def test_a_moment_that_can_no_longer_come() -> None:
    """Everybody who waits, and who comes later, gets the error."""

    async def main() -> None:
        moment: Moment[None] = Moment()
        waiting = [asyncio.create_task(moment.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        moment.fail(ValueError("never"))
        moment.set(None)
        for each in (*waiting, moment.wait()):
            with pytest.raises(ValueError, match="never"):
                await each

    asyncio.run(main())


def test_a_moment_is_awaited_on_many_loops() -> None:
    """Loops in several threads wait for one moment, which any thread may set."""
    moment: Moment[str] = Moment()
    ready = threading.Barrier(5)

    async def wait() -> str:
        several = [asyncio.ensure_future(moment.wait()) for _ in range(10)]
        await asyncio.sleep(0)
        ready.wait(LIMIT)
        values = await asyncio.wait_for(asyncio.gather(*several), LIMIT)
        assert set(values) == {"now"}
        return values[0]

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(asyncio.run, wait()) for _ in range(4)]
        ready.wait(LIMIT)
        moment.set("now")
        assert [each.result(LIMIT) for each in done] == ["now"] * 4
    assert how_many_wait(moment) == 0


def test_cancelling_who_waits_leaves_nothing_behind() -> None:
    """A thousand waits that time out are forgotten, and disturb nobody."""

    async def main() -> None:
        moment: Moment[int] = Moment()
        other = asyncio.create_task(moment.wait())
        for _ in range(1000):
            waiting = asyncio.create_task(moment.wait())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait({waiting})
        assert how_many_wait(moment) == 1
        moment.set(7)
        assert await other == 7

    asyncio.run(main())


def test_cancelled_and_set_in_one_step() -> None:
    """Whoever is cancelled at the moment itself is cancelled, without a noise."""

    async def main() -> None:
        noises: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, c: noises.append(c))
        moment: Moment[int] = Moment()
        waiting = asyncio.create_task(moment.wait())
        await asyncio.sleep(0)
        moment.set(1)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()
        assert noises == []
        assert how_many_wait(moment) == 0

    asyncio.run(main())


def test_a_moment_survives_a_loop_that_is_gone() -> None:
    """A loop that was closed while a task of it waited is passed over."""
    moment: Moment[int] = Moment()
    loop = asyncio.SelectorEventLoop()
    task = loop.create_task(moment.wait())
    loop.run_until_complete(asyncio.sleep(0))
    task.cancel()
    loop.run_until_complete(asyncio.wait({task}))
    loop.close()
    moment._waiters[loop.create_future()] = loop
    moment.set(1)
    assert asyncio.run(moment.wait()) == 1
    assert run_soon(loop, print) is False


class Counting(asyncio.SelectorEventLoop):
    """Counts what other threads post."""

    posted = 0

    def call_soon_threadsafe(self, *args: Any, **kwargs: Any) -> Any:
        """Count it."""
        self.posted += 1
        return super().call_soon_threadsafe(*args, **kwargs)


def test_a_crowd_is_woken_by_one_post_a_loop() -> None:
    """Ten thousand who wait do not hold up the thread that sets the moment."""
    loop = Counting()
    moment: Moment[int] = Moment()

    async def main() -> None:
        waiting = [asyncio.ensure_future(moment.wait()) for _ in range(10_000)]
        await asyncio.sleep(0)
        moment.set(7)
        assert set(await asyncio.gather(*waiting)) == {7}

    loop.run_until_complete(main())
    assert loop.posted == 1
    loop.close()


class Odd(Exception):
    """Cannot be made again from its arguments."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


@pytest.mark.parametrize("error", [Draining("never"), KeyError("never"), Odd("never", "again")])
def test_an_error_is_raised_to_each_anew(error: Exception) -> None:
    """Its traceback does not grow with everybody who waits."""

    async def main() -> None:
        moment: Moment[None] = Moment()
        moment.fail(error)
        depths = set()
        for _ in range(20):
            with pytest.raises(type(error), match="never") as caught:
                await moment.wait()
            depths.add(len(caught.traceback))
        assert len(depths) == 1

    asyncio.run(main())

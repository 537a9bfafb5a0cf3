"""TLS handshakes: how many at a time, whose is next, and how long one that stands still has."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from lifecycle.serving.connection_table import ConnectionTable
from lifecycle.serving.tls.handshakes import AT_ONCE, HANDSHAKE_TIME, STALLED, Handshakes
from tests.unit.virtual_time import run


class Crowd:
    """Handshakes that never end by themselves."""

    def __init__(self) -> None:
        clock = asyncio.get_running_loop().time
        self.handshakes = Handshakes(clock)
        self.begun: list[str] = []
        self.ended: list[tuple[str, float]] = []
        self._table = ConnectionTable(clock)
        self._clock = clock

    async def shake(self, address: str, seconds: float = 1000.0) -> None:
        began = self._clock()
        try:
            async with self.handshakes.place(self._table.add(address)):
                self.begun.append(address)
                await asyncio.sleep(seconds)
        except TimeoutError:
            self.ended.append((address, self._clock() - began))

    def come(self, address: str, count: int) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.shake(address)) for _ in range(count)]


def test_one_that_stands_still_is_over_in_time():
    """Alone it has all its time."""

    async def scenario():
        crowd = Crowd()
        await crowd.shake("a")
        return crowd.ended

    assert run(scenario()) == [("a", HANDSHAKE_TIME)]


def test_no_more_than_so_many_are_under_way():
    """The others wait, and while they do, what stands still has less time."""

    async def scenario():
        crowd = Crowd()
        tasks = crowd.come("a", AT_ONCE + 1)
        await asyncio.sleep(STALLED / 2)
        seen = [len(crowd.begun)]
        await asyncio.sleep(STALLED)
        seen.append(len(crowd.begun))
        await asyncio.gather(*tasks)
        return seen, crowd.ended[0]

    assert run(scenario()) == ([AT_ONCE, AT_ONCE + 1], ("a", STALLED))


def test_the_next_place_goes_to_the_address_that_has_the_fewest():
    """However many of the crowd have come before it."""

    async def scenario():
        crowd = Crowd()
        tasks = crowd.come("crowd", 3 * AT_ONCE)
        await asyncio.sleep(0.1)
        tasks += crowd.come("another", 1)
        await asyncio.sleep(0.1)
        tasks[0].cancel()
        await asyncio.sleep(0.1)
        for each in tasks:
            each.cancel()
        await asyncio.wait(tasks)
        return crowd.begun[-1]

    assert run(scenario()) == "another"


def test_the_time_in_the_queue_is_not_the_handshakes_own():
    """Who had to wait for a place has as long as anybody, once nobody else waits."""

    async def scenario():
        crowd = Crowd()
        tasks = crowd.come("a", AT_ONCE)
        await asyncio.sleep(0.1)
        await crowd.shake("a")
        for each in tasks:
            each.cancel()
        await asyncio.wait(tasks)
        return crowd.ended[-1]

    assert run(scenario()) == ("a", pytest.approx(STALLED - 0.1 + HANDSHAKE_TIME))


def test_a_handshake_that_goes_on_is_not_one_that_stands_still():
    """Though others wait, and until it has had all its time."""

    async def scenario():
        crowd = Crowd()
        standing = ConnectionTable(asyncio.get_running_loop().time).add("slow")
        began = asyncio.get_running_loop().time()
        with contextlib.suppress(TimeoutError):
            async with crowd.handshakes.place(standing) as moved:
                tasks = crowd.come("a", 20 * AT_ONCE)
                while True:
                    await asyncio.sleep(STALLED - 0.1)
                    moved()
        took = asyncio.get_running_loop().time() - began
        for each in tasks:
            each.cancel()
        await asyncio.wait(tasks)
        moved()  # nothing comes of it any more
        return took

    assert run(scenario()) == HANDSHAKE_TIME


@pytest.mark.parametrize("first", ["those that wait", "those under way"])
def test_all_may_be_cancelled_at_once(first):
    """Nothing is left of them: whoever comes then has a place."""

    async def scenario():
        crowd = Crowd()
        tasks = crowd.come("a", 3 * AT_ONCE)
        await asyncio.sleep(0.1)
        for each in tasks if first == "those under way" else tasks[::-1]:
            each.cancel()
        done, _ = await asyncio.wait(tasks)
        assert all(each.cancelled() for each in done)
        crowd.begun.clear()
        await asyncio.gather(*(crowd.shake("b", 0.0) for _ in range(AT_ONCE)))
        return len(crowd.begun)

    assert run(scenario()) == AT_ONCE


def test_all_are_hurried_when_the_app_leaves():
    """Also those that wait for a place."""

    async def scenario():
        crowd = Crowd()
        tasks = crowd.come("a", AT_ONCE + 5)
        await asyncio.sleep(0.1)
        crowd.handshakes.hurry(lambda standing: standing.since + 0.5)
        await asyncio.gather(*tasks)
        return {seconds for _, seconds in crowd.ended}

    assert run(scenario()) == {0.5}

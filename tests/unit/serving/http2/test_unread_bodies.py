"""What still comes to requests that have been answered over HTTP/2, and when it is too much."""

from __future__ import annotations

import asyncio

from lifecycle.serving.http2.unread_bodies import LONGEST, MOST, SILENCE, UnreadBodies
from tests.unit.virtual_time import run


def test_silence() -> None:
    """A client that sends nothing more is stopped once the silence is over."""

    async def main() -> None:
        stopped: list[int] = []
        leftovers = UnreadBodies(stopped.append)
        leftovers.expect(1)
        await asyncio.sleep(SILENCE * 0.9)
        leftovers.came(1, 10)
        await asyncio.sleep(SILENCE * 0.9)
        assert stopped == []
        await asyncio.sleep(SILENCE * 0.2)
        assert stopped == [1]
        assert not len(leftovers)

    run(main())


def test_one_who_goes_on() -> None:
    """A client that goes on and on is stopped after its time."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        began, stopped = loop.time(), asyncio.Event()
        leftovers = UnreadBodies(lambda _: stopped.set())
        leftovers.expect(1)
        while not stopped.is_set():
            leftovers.came(1, 10)
            await asyncio.sleep(SILENCE / 4)
        assert LONGEST <= loop.time() - began <= LONGEST + SILENCE

    run(main())


def test_too_many_bytes() -> None:
    """A client that sends more than anybody throws away is stopped at once, and once only."""

    async def main() -> None:
        stopped: list[int] = []
        leftovers = UnreadBodies(stopped.append)
        leftovers.expect(1)
        leftovers.expect(3)
        leftovers.came(1, MOST)
        assert stopped == []
        leftovers.came(1, 1)
        leftovers.came(1, 1)
        assert stopped == [1]
        leftovers.ended(3)
        leftovers.came(3, MOST + 1)
        await asyncio.sleep(2 * LONGEST)
        assert stopped == [1]

    run(main())


def test_the_end_of_the_connection() -> None:
    """Once the connection has ended nobody is stopped, nor is who is answered just then."""

    async def main() -> None:
        stopped: list[int] = []
        leftovers = UnreadBodies(stopped.append)
        leftovers.expect(1)
        leftovers.close()
        leftovers.expect(3)
        await asyncio.sleep(2 * LONGEST)
        assert stopped == []

    run(main())

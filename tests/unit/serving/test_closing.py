"""Idle connections of a server that closes them, and then does not any more."""

from __future__ import annotations

import asyncio

import pytest

from lifecycle.serving.closing import Closing
from lifecycle.serving.connection_states import NEW_TIME, ConnEvent
from lifecycle.serving.connection_table import ConnectionTable
from lifecycle.serving.idle_timer import IdleTimer
from lifecycle.serving.lingering_close import LINGER_LAST, SILENCE, LingeringClose
from tests.unit.virtual_time import now, run

LIMIT = 75.0


class Scene:
    """A connection that is idle from now on, and a server that may close it."""

    def __init__(self, *, answered: bool) -> None:
        self.began = now()
        self.holds = True
        self.closing = Closing(lambda: self.holds)
        entry = ConnectionTable(asyncio.get_running_loop().time).add("10.0.0.7")
        if answered:
            entry.note(ConnEvent.ANSWERED)
        self.timer = IdleTimer(LIMIT, entry, self.closing)
        self.expired: list[float] = []

    async def _expired(self) -> None:
        self.expired.append(now() - self.began)

    def close(self) -> None:
        self.closing.set()
        self.timer.hurry()

    async def play(self, close: float | None, stay: float | None) -> list[float]:
        """Close at a time, take it back at a time, and return when the connection was idle."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            self.timer.open(tasks)
            await self.timer.restart(self._expired)
            if close is not None:
                loop.call_at(self.began + close, self.close)
            if stay is not None:
                loop.call_at(self.began + stay, lambda: setattr(self, "holds", False))
            await asyncio.sleep(2 * LIMIT)
            self.timer.close()
        return self.expired


@pytest.mark.parametrize(
    ("answered", "close", "stay", "expired"),
    [
        (True, None, None, LIMIT),
        (True, 10, None, 10),
        (True, 10, 20, 10),
        (False, 1, None, NEW_TIME),
        (False, 1, 2, LIMIT),
        (False, 10, None, 10),
    ],
)
def test_when_a_connection_is_closed(
    answered: bool, close: float | None, stay: float | None, expired: float
) -> None:
    """At once if it was answered; a new one is idle later, and stays if it was taken back by then."""

    async def main() -> None:
        scene = Scene(answered=answered)
        assert await scene.play(close, stay) == [pytest.approx(expired)]

    run(main())


def test_a_connection_that_was_busy_all_the_time() -> None:
    """The server has closed idle ones meanwhile, and does not any more: it may stay."""

    async def main() -> None:
        scene = Scene(answered=True)
        scene.close()
        assert scene.closing.is_set()
        scene.holds = False
        assert not scene.closing.is_set()
        assert await scene.play(None, None) == [pytest.approx(LIMIT)]

    run(main())


def test_who_waits_for_the_close() -> None:
    """A connection that ends anyway: it has less time then."""

    async def main() -> None:
        closing = Closing()
        asyncio.get_running_loop().call_later(3, closing.set)
        began = now()
        await closing.wait()
        assert now() - began == pytest.approx(3)

    run(main())


@pytest.mark.parametrize(
    ("holds", "seconds"), [(True, LINGER_LAST), (False, SILENCE)], ids=["closes", "taken back"]
)
def test_a_client_reads_the_end_of_its_connection(holds: bool, seconds: float) -> None:
    """It has its time for that, if idle connections were closed once but are not any more."""

    async def main() -> None:
        closed: list[float] = []
        closing = Closing(lambda: holds)
        closing.set()
        began = now()
        close = lambda: closed.append(now() - began)
        await LingeringClose(LIMIT, closing, asyncio.Event(), close, close).run()
        assert closed == [pytest.approx(seconds)]

    run(main())

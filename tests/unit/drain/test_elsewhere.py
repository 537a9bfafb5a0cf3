"""A drain whose traffic other processes serve: their word counts like our own."""

from __future__ import annotations

import asyncio
import math

import pytest

from lifecycle.drain.elsewhere import Nowhere
from lifecycle.drain.in_flight import Traffic
from tests.unit.virtual_time import attached, now, run

SETTLE = 5.0
QUIET = 1.0


class Workers(Nowhere):
    """Other processes, as a test has them."""

    def __init__(self) -> None:
        self.count = 0
        self.last = self.awake = -math.inf
        self.oldest = math.inf
        self.looked = math.inf
        self.began = False

    def begin(self) -> None:
        self.began = True

    def in_flight(self) -> int:
        return self.count

    def names(self) -> list[str]:
        return [f"gunicorn 7 ({self.count})"] if self.count else []

    def arrived_at(self) -> float:
        return self.last

    def awake_since(self) -> float:
        return self.awake

    def seen_until(self) -> float:
        return self.looked

    def disturbers(self) -> list[str]:
        return ["curl/8"]

    def oldest_at(self) -> float:
        return self.oldest


class Scene:
    """A drain that began now, of traffic that is all elsewhere."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.workers = Workers()
        self.traffic = Traffic(loop.time)
        self.traffic.elsewhere = self.workers
        self.began = now()
        self.traffic.watch(loop.call_soon, self.began)
        self.app = attached()

    def at(self, seconds: float, **changes: float) -> None:
        """Have the workers say something else, and wake us."""

        def change() -> None:
            for name, value in changes.items():
                setattr(self.workers, name, value)
            self.traffic.nudge()

        asyncio.get_running_loop().call_at(self.began + seconds, change)

    async def gone_after(self) -> float:
        """Return how long it took until nobody was there any more."""
        await self.traffic.gone(not_before=lambda: self.began + SETTLE, quiet=QUIET, app=self.app)
        self.app.detach()
        return now() - self.began


def test_their_work_in_flight_is_waited_for() -> None:
    """It is counted, named, and waited for like our own."""

    async def main() -> None:
        scene = Scene()
        scene.workers.count = 3
        assert scene.traffic.in_flight == 3
        assert scene.traffic.names() == ["gunicorn 7 (3)"]
        scene.at(20, count=0)
        assert await scene.gone_after() == pytest.approx(20)
        assert scene.workers.began
        assert scene.traffic.last_disturbers() == ["curl/8"]

    run(main())


def test_what_arrives_there_begins_the_quiet_anew() -> None:
    """Nobody needs to wake us for it: it is looked at when the quiet would be over."""

    async def main() -> None:
        scene = Scene()
        loop = asyncio.get_running_loop()
        for seconds in (4.5, 5.4):
            at = scene.began + seconds
            loop.call_at(at, lambda at=at: setattr(scene.workers, "last", at))
        assert await scene.gone_after() == pytest.approx(5.4 + QUIET)

    run(main())


def test_who_does_not_look_sees_nobody_arrive() -> None:
    """A blocked worker is waited for, and the quiet counts from when it came round."""

    async def main() -> None:
        scene = Scene()
        scene.workers.looked = scene.began + 2
        scene.at(9, looked=scene.began + 9, awake=scene.began + 9)
        scene.at(9.25, looked=scene.began + 9.25)
        scene.at(10.1, looked=scene.began + 10.1)
        assert await scene.gone_after() == pytest.approx(10.1)

    run(main())


def test_nobody_needs_to_look_once_main_is_over() -> None:
    """The command has ended by itself: its workers are not waited for."""

    async def main() -> None:
        scene = Scene()
        scene.workers.looked = scene.began + 2
        loop = asyncio.get_running_loop()
        loop.call_at(scene.began + 6, scene.traffic.forget_arrivals)
        loop.call_at(scene.began + 6, scene.traffic.nudge)
        assert await scene.gone_after() == pytest.approx(6)

    run(main())


def test_the_oldest_work_here_or_there() -> None:
    """Its age, or nothing if nothing is in flight."""

    async def main() -> None:
        scene = Scene()
        assert scene.traffic.oldest() is None
        with scene.traffic.track():
            await asyncio.sleep(3)
            assert scene.traffic.oldest() == pytest.approx(3)
            scene.workers.oldest = scene.began - 4
            assert scene.traffic.oldest() == pytest.approx(7)
        assert scene.traffic.oldest() == pytest.approx(7)

    run(main())

"""Traffic whose clients are told to go without a drain, and what a later drain knows of it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest

from lifecycle.calls.threads import run_soon
from lifecycle.drain.elsewhere import Nowhere
from lifecycle.drain.in_flight import Traffic
from tests.unit.virtual_time import attached, now, run

SETTLE = 5.0
QUIET = 1.0


class Told(Nowhere):
    """Other processes, which note what they are told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def begin(self) -> None:
        self.told.append("begin")

    def send_away(self, settles_at: float) -> None:
        self.told.append(settles_at)

    def stay(self) -> None:
        self.told.append("stay")


class Scene:
    """Traffic whose clients are told to go from now on."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.began = now()
        self.traffic = Traffic(self.loop.time)
        self.traffic.elsewhere = self.elsewhere = Told()
        self.traffic.send_away(self.wake, self.began + SETTLE)

    def wake(self, function: Callable[[], object]) -> None:
        run_soon(self.loop, function)

    def drain(self, *, quiet: bool = True) -> None:
        """Start the drain, as a departure does."""
        self.traffic.late_arrivals.begin(now(), [])
        self.traffic.watch(self.wake, now() if quiet else -math.inf)

    async def gone_after(self) -> float:
        """Return how long it took until nobody was there any more."""
        app = attached()
        await self.traffic.gone(not_before=lambda: self.began + SETTLE, quiet=QUIET, app=app)
        app.detach()
        return now() - self.began


@pytest.mark.parametrize(
    ("came", "took", "gone"),
    [
        ((), 0.0, SETTLE),
        ((4.5,), 0.25, 5.5),
        ((4.5, 5.25, 6.0), 0.1, 7.0),
        ((1,), 9.0, 10.0),
    ],
)
def test_the_rules_are_those_of_a_drain(came: tuple[float, ...], took: float, gone: float) -> None:
    """Nothing in flight and nothing new for a second; what runs is waited for."""

    async def main() -> None:
        scene = Scene()
        for at in came:
            work = scene.traffic.track("curl/8", "/orders")
            scene.loop.call_at(scene.began + at, work.__enter__)
            scene.loop.call_at(scene.began + at + took, work.__exit__, None, None, None)
        assert await scene.gone_after() == pytest.approx(gone)
        assert scene.traffic.last_disturbers() == ([f"curl/8 ({len(came)})"] if came else [])

    run(main())


def test_other_processes_are_told() -> None:
    """When they may close, and that they need not; a drain is told on its own."""

    async def main() -> None:
        scene = Scene()
        scene.traffic.stay()
        scene.drain()
        assert scene.elsewhere.told == [scene.began + SETTLE, "stay", "begin"]

    run(main())


@pytest.mark.parametrize("settled", [False, True])
def test_it_is_taken_back(settled: bool) -> None:
    """Clients may stay, nothing is ended, and who waits for the end waits for the next time."""

    async def main() -> None:
        traffic = Scene().traffic
        if settled:
            traffic.settle()
        moment = traffic.settled
        traffic.stay()
        assert (traffic.sends_away, traffic.ends_idle) == (False, False)
        assert not traffic.settled.happened
        assert (traffic.settled is moment) is not settled

    run(main())


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("quiet", [False, True])
def test_a_drain_begins_anew(again: bool, quiet: bool) -> None:
    """What came before its start is none of its late arrivals, and nobody who disturbs it."""

    async def main() -> None:
        scene = Scene()
        traffic = scene.traffic
        traffic.in_use = True
        with traffic.track("curl/8", "/old") as before:
            before.came_from(("10.0.0.7", 1))
            with traffic.track("curl/8", "/gone"):
                pass
            assert traffic.last_to_end() is not None
            await asyncio.sleep(2)
            if again:
                traffic.stay()
            scene.drain(quiet=quiet)
            assert traffic.last_to_end() is None
        ended: Any = traffic.last_to_end()
        assert (ended.name, ended.age) == ("/old from curl/8", 2)
        assert traffic.last_disturbers() == []
        assert traffic.arrivals()["arrivals"] == []
        with traffic.track("curl/9", "/new"):
            pass
        assert traffic.last_disturbers() == ["curl/9 (1)"]
        assert traffic.arrivals()["arrivals"] == [1]

    run(main())


def test_what_began_meanwhile_and_runs_on() -> None:
    """Once clients may stay again, its end is that of any other work."""

    async def main() -> None:
        traffic = Scene().traffic
        with traffic.track("curl/8", "/orders"):
            traffic.stay()
        assert (traffic.in_flight, traffic.last_disturbers()) == (0, [])
        traffic.late_arrivals.begin(now(), [])
        traffic.note_unfinished()
        assert traffic.arrivals()["arrivals"] == []

    run(main())

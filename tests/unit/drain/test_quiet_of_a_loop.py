"""The quiet is counted only while the app's loop comes round: a blocked loop sees nobody arrive."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from lifecycle.calls.app_loop import BEAT, PAUSE, ROUNDS, AppLoop
from lifecycle.drain.in_flight import LOOK_AGAIN, RARELY
from tests.unit.drain.play import Play, soon
from tests.unit.drain.test_in_flight import QUIET, SETTLE, Scene
from tests.unit.virtual_time import now, run


class Dozing(AppLoop):
    """The app's loop of a scene: asleep from one time to another, in seconds after T0."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop().time)
        self.attach()
        self.began = now()
        self.asleep: tuple[float, float] = (-1.0, -1.0)
        self.looks = 0
        self.meanwhile: Callable[[], Any] = lambda: None
        """What the loop sees when it is back."""

    def _sleeps(self) -> bool:
        return self.asleep[0] <= now() - self.began < self.asleep[1]

    def awake_since(self) -> float:
        if self._sleeps():
            return math.inf
        woke = self.began + self.asleep[1]
        return woke if woke <= now() else self.began - 100

    def come_round(self, done: Callable[[], object]) -> bool:
        self.looks += 1
        woke = self.began + self.asleep[1] if self._sleeps() else now()

        def seen() -> None:
            self.meanwhile()
            done()

        asyncio.get_running_loop().call_at(woke, seen)
        return True


class Slow(AppLoop):
    """A loop that is not silent, and takes three seconds to come round."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop().time)
        self.attach()

    def come_round(self, done: Callable[[], object]) -> bool:
        asyncio.get_running_loop().call_later(3, done)
        return True


class Doze(Scene):
    """A drain of an app whose loop dozes."""

    def __init__(self, begins: float, ends: float, **how: Any) -> None:
        super().__init__(app_loop=Dozing(), **how)
        self.app_loop.asleep = (begins, ends)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("begins", "ends", "gone"),
    [
        (4.5, 6.5, 6.5 + QUIET),
        (0.0, 60.0, 60.0 + QUIET),
        (1.0, 3.0, SETTLE),
        (1.0, 4.5, 4.5 + QUIET),
        (SETTLE - 0.1, SETTLE, SETTLE + QUIET),
    ],
)
def test_only_time_in_which_the_loop_comes_round_counts(
    begins: float, ends: float, gone: float
) -> None:
    """The quiet begins anew when a blocked loop is back, settle goes on meanwhile."""

    async def main() -> None:
        scene = Doze(begins, ends)
        assert await scene.gone_after() == pytest.approx(gone)
        assert scene.app_loop.looks <= 2, "nothing polls"  # type: ignore[attr-defined]

    run(main())


def test_who_is_seen_at_the_last_look_disturbs() -> None:
    """A block too short to be noticed: who came meanwhile is seen before the quiet is over."""

    async def main() -> None:
        scene = Scene(app_loop=Dozing())

        def arrive() -> None:
            scene.app_loop.meanwhile = lambda: None  # type: ignore[attr-defined]
            scene.traffic.arrived("curl/8")

        scene.app_loop.meanwhile = arrive  # type: ignore[attr-defined]
        assert await scene.gone_after() == pytest.approx(SETTLE + QUIET)
        assert scene.app_loop.looks == 2  # type: ignore[attr-defined]

    run(main())


def test_a_nudge_is_not_the_end_of_a_look() -> None:
    """The plan may change meanwhile: the loop has not come round before it says so."""

    async def main() -> None:
        scene = Scene(app_loop=Slow())
        scene.at(SETTLE + 1, scene.traffic.nudge)
        assert await scene.gone_after() == pytest.approx(SETTLE + 3)

    run(main())


def test_a_queue_that_is_not_empty() -> None:
    """Who waits to be accepted is waited for; it is looked at again after a moment."""

    async def main() -> None:
        waiting = [3]
        scene = Scene(queued=lambda: waiting[0])
        scene.at(SETTLE + 2, waiting.clear)
        scene.at(SETTLE + 2, lambda: waiting.append(0))
        assert await scene.gone_after() == pytest.approx(SETTLE + 2, abs=LOOK_AGAIN)

    run(main())


def test_looks_that_take_long_are_rare() -> None:
    """The control thread has other things to do: looking takes a twentieth of its time at most."""

    async def main() -> None:
        cost, looks = 0.02, []
        loop = asyncio.get_running_loop()

        def queued() -> int:
            loop.clock.now += cost  # type: ignore[attr-defined]
            looks.append(now())
            return int(len(looks) < 5)

        scene = Scene(queued=queued)
        await scene.gone_after()
        pauses = [later - earlier for earlier, later in pairwise(looks)]
        assert len(pauses) == 4
        assert min(pauses) >= cost * RARELY

    run(main())


def test_a_queue_is_nothing_to_a_drain_without_quiet() -> None:
    """Who waives the quiet waives this too."""

    async def main() -> None:
        scene = Scene(queued=lambda: 3, since=-math.inf)
        assert await scene.gone_after() == pytest.approx(SETTLE)

    run(main())


def test_work_that_begins_at_the_last_look_is_waited_for() -> None:
    """Who waited in the queue is served, however long it takes."""

    async def main() -> None:
        scene = Doze(4.5, 6.5)

        def begin() -> None:
            scene.app_loop.meanwhile = lambda: None  # type: ignore[attr-defined]
            scene.work.append(scene.traffic.track())
            scene.work[-1].__enter__()
            scene.at(20, scene.leave)

        scene.app_loop.meanwhile = begin  # type: ignore[attr-defined]
        assert await scene.gone_after() == pytest.approx(20)

    run(main())


def test_without_quiet_the_loop_is_looked_at_all_the_same() -> None:
    """A quiet of 0 s is over when the loop has come round, and not while it is blocked."""

    async def main() -> None:
        scene = Doze(4.5, 6.5, quiet=0.0)
        assert await scene.gone_after() == pytest.approx(6.5)

    run(main())


def test_when_main_is_over_nobody_waits_for_a_blocked_loop() -> None:
    """Who arrives now finds nobody, before or after the block."""

    async def main() -> None:
        scene = Doze(4.5, 1e6)

        def end() -> None:
            scene.traffic.forget_arrivals()
            scene.traffic.arrived("curl/8")
            scene.traffic.nudge()

        scene.at(7, end)
        assert await scene.gone_after() == pytest.approx(7)

    run(main())


def test_a_drain_without_quiet_does_not_wait_for_a_blocked_loop() -> None:
    """Nobody can have found us, or Ctrl-C: then it is over when nothing is in flight."""

    async def main() -> None:
        scene = Doze(-1.0, 1e6, since=-math.inf)
        assert await scene.gone_after() == pytest.approx(SETTLE)

    run(main())


def test_the_loop_has_gone() -> None:
    """Without a loop nobody can be seen arriving, and nobody is waited for."""

    async def main() -> None:
        scene = Scene()
        scene.at(1, scene.app_loop.detach)
        assert await scene.gone_after() == pytest.approx(SETTLE)

    run(main())


def test_since_when_the_loop_is_awake() -> None:
    """Since it was attached, or since it came back; infinity while it is silent."""
    time = [100.0]
    app_loop = AppLoop(lambda: time[0])

    async def beat() -> None:
        beaten = asyncio.Event()
        app_loop._on_beat = beaten.set
        async with asyncio.timeout(5):
            await beaten.wait()

    async def main() -> None:
        assert app_loop.awake_since() == -math.inf
        app_loop.attach()
        assert app_loop.awake_since() == 100.0
        time[0] += PAUSE
        assert app_loop.awake_since() == 100.0
        await beat()
        assert app_loop.awake_since() == 100.0, "late, but not silent"
        time[0] += PAUSE + 0.1
        assert app_loop.awake_since() == math.inf
        await beat()
        assert app_loop.awake_since() == time[0], "since it is back"
        time[0] += BEAT
        await beat()
        assert app_loop.awake_since() == time[0] - BEAT
        app_loop.detach()
        assert app_loop.awake_since() == -math.inf

    asyncio.run(main())


def test_a_look_takes_turns_of_the_loop() -> None:
    """What each turn makes ready has its turn too before the look is over."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        app_loop = AppLoop(loop.time)
        assert app_loop.come_round(lambda: None) is False
        app_loop.attach()
        over: asyncio.Future[None] = loop.create_future()
        turns = 0

        def turn() -> None:
            nonlocal turns
            turns += 1
            if not over.done():
                loop.call_soon(turn)

        loop.call_soon(turn)
        assert app_loop.come_round(lambda: over.set_result(None)) is True
        await over
        assert turns >= ROUNDS
        app_loop.detach()

    asyncio.run(main())


def test_a_drain_waits_for_a_loop_that_is_blocked() -> None:
    """`drained` comes `quiet` after the loop is back; what held it up is in the report."""

    async def main() -> None:
        play = Play()
        dozing = Dozing()
        play.departure._parts = play.departure._parts._replace(app_loop=dozing)
        dozing.asleep = (4.0, 8.0)
        await play.open()
        play.signal()
        dozing.began = now()
        assert await play.end() == soon(9)
        assert "waited_for" not in play.report
        dozing.detach()

    run(main())


def test_a_loop_that_stays_blocked_is_named() -> None:
    """The deadline comes: the report says that the app's loop did not come round."""

    async def main() -> None:
        play = Play()
        dozing = Dozing()
        play.departure._parts = play.departure._parts._replace(app_loop=dozing)
        dozing.asleep = (4.0, 26.0)
        await play.open()
        play.signal()
        dozing.began = now()
        await play.end()
        assert play.drained_at == soon(25)
        assert play.report["waited_for"].startswith("the app's loop, last seen ")
        assert play.departure.exit_code == 0
        dozing.detach()

    run(main())

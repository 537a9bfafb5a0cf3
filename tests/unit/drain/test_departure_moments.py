"""Who waits for moments of the drain, and what `/status` shows of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lifecycle.hookspecs import hookimpl
from lifecycle.states import State
from tests.unit.control.registries import Scripted, after
from tests.unit.drain.play import Play, soon
from tests.unit.drain.test_departure import WithStuck
from tests.unit.drain.test_departure_edges import With
from tests.unit.virtual_time import now, run


class Asks:
    """A plugin whose tasks wait for the moments of the drain."""

    def __init__(self) -> None:
        self.told: dict[str, float] = {}
        self.deregistered: bool | None = None

    @hookimpl
    async def lifecycle_drain(self, life: Any, drain: Any) -> None:
        """Wait for each, for as long as the drain waits for us."""
        began = now()
        assert life.draining

        async def note(name: str, moment: Any) -> None:
            value = await moment
            self.told[name] = now() - began
            if name == "deregistered":
                self.deregistered = value

        self.tasks = [
            asyncio.create_task(note("settled", drain.settled())),
            asyncio.create_task(note("deregistered", drain.deregistered())),
            asyncio.create_task(note("idle", drain.idle())),
        ]


def time_is_over(play: Play) -> bool:
    """Tell whether what is in flight is not to be waited for any more."""
    drain = play.departure.drain
    return drain is not None and drain.time_over.happened


@pytest.mark.parametrize(
    ("forced_at", "told"),
    [
        (None, {"deregistered": 0, "settled": 5, "idle": 25}),
        (2, {"deregistered": 0, "settled": 2, "idle": 2}),
    ],
)
def test_who_waits_is_told_when_the_drain_is_cut_short(
    forced_at: float | None, told: dict[str, float]
) -> None:
    """At the deadline, or when it is forced: what waits for quiet has nothing to wait for."""

    async def main() -> None:
        asks = Asks()
        play = await Play(asks).open()
        play.life.track().__enter__()
        play.signal()
        if forced_at is not None:
            play.at(forced_at, play.signal)
        await play.end()
        await asyncio.gather(*asks.tasks)
        assert asks.told == {name: soon(at) for name, at in told.items()}
        assert asks.deregistered is True
        assert time_is_over(play)

    run(main())


def test_who_waits_is_told_when_nothing_is_waited_for() -> None:
    """Without the drain handler main is to end at once: no moment is still to come."""

    async def main() -> None:
        asks = Asks()
        play = await Play(asks, plugins=("no:drain",)).open()
        play.signal()
        await play.end()
        await asyncio.gather(*asks.tasks)
        assert asks.told == dict.fromkeys(("deregistered", "settled", "idle"), soon(0))
        assert time_is_over(play)

    run(main())


def test_a_registry_that_is_late_is_not_deregistered() -> None:
    """`deregistered` is false after `register_timeout`, and the drain goes on."""

    async def main() -> None:
        asks = Asks()
        play = await Play(WithStuck(), asks, register_timeout=8).open()
        play.signal()
        assert await play.end() == soon(8)
        await asyncio.gather(*asks.tasks)
        assert asks.told["deregistered"] == soon(8)
        assert asks.deregistered is False
        assert not time_is_over(play)
        assert play.report["steps"]["deregister"] == soon(8)

    run(main())


def test_without_the_drain_handler_it_is_deregistered_at_the_end() -> None:
    """`no:drain`: nothing waits for traffic, and what was registered does not stay so."""

    async def main() -> None:
        registry = Scripted()
        play = await Play(With(registry), plugins=("no:drain",)).open()
        assert registry.there == {"orders"}
        play.life.track().__enter__()
        play.signal()
        await play.end()
        assert play.drained_at == soon(0)
        assert registry.there == set()

    run(main())


def test_without_the_drain_handler_a_slow_registry_is_waited_for() -> None:
    """At the end, for `register_timeout` at most."""

    async def main() -> None:
        registry = Scripted()
        play = await Play(With(registry), plugins=("no:drain",)).open()
        registry.on_deregister = after(3)
        play.signal()
        assert await play.end() == soon(3)
        assert registry.there == set()
        assert "unregistered" not in play.report

    run(main())


def test_what_began_it_is_told() -> None:
    """The transition has its cause, and the log too."""

    async def main() -> None:
        play = await Play().open()
        play.signal("SIGQUIT")
        drained = play.stage.conductor.transitions.history[-1]
        assert (drained.after, drained.cause) == (State.DRAINING, "SIGQUIT")
        await play.end()
        assert [each["cause"] for each in play.stage.diary.of("draining")] == ["SIGQUIT"]

    run(main())


class Broken:
    """A plugin whose drain hook does not work."""

    @hookimpl
    async def lifecycle_drain(self) -> None:
        """Raise."""
        raise ValueError("no")


def test_a_drain_hook_that_raises_is_named() -> None:
    """Under its plugin's name, and it holds nothing up."""

    async def main() -> None:
        play = await Play(Broken()).open()
        play.signal()
        assert await play.end() == soon(5)
        [told] = [
            each
            for each in play.stage.diary.of("plugin")
            if each["problem"].startswith("lifecycle_drain ")
        ]
        assert "ValueError: no" in told["problem"]
        assert told["plugin"]

    run(main())


def test_one_of_two_prestops_hangs_up() -> None:
    """The other one still waits: SIGTERM before its answer hurries."""

    async def main() -> None:
        play = await Play().open()
        play.life.track().__enter__()
        gave_up, answered = play.prestop(lambda: asyncio.sleep(1)), play.prestop()
        play.at(7, play.signal)
        await play.end()
        assert (await gave_up, await answered, play.drained_at) == (soon(1), soon(8), soon(8))

    run(main())


# What `/status` shows


def test_what_status_shows_at_each_step() -> None:
    """Times to the millisecond; a deadline that has passed is 0; nothing is waited for after it."""

    async def main() -> None:
        play = await Play().open()
        play.deaf = True
        play.life.track().__enter__()
        play.prestop()
        await asyncio.sleep(0)
        assert play.departure.drain is not None
        began = play.departure.drain.timetable.began

        async def shown_at(seconds: float) -> dict[str, Any]:
            await asyncio.sleep(began + seconds - now())
            shown = play.life.snapshot()["drain"]
            assert shown is not None
            return shown

        shown = await shown_at(2.12345)
        assert (shown["deadline"], shown["elapsed"]) == (22.877, 2.123)
        assert (shown["step"], shown["steps"]) == ("wait", {"deregister": 0.0})
        assert shown["waiting_for"] == ["1 in flight"]
        shown = await shown_at(25.6)
        assert (shown["step"], shown["deadline"], shown["waiting_for"]) == ("signal", 0.0, [])
        assert set(shown["steps"]) == {"deregister", "settle", "wait"}
        shown = await shown_at(26.5)
        assert (shown["step"], shown["waiting_for"]) == ("stop", [])
        await play.end()
        shown = await shown_at(30)
        assert shown["step"] == "close"
        assert set(shown["steps"]) == {"deregister", "settle", "wait", "signal", "stop", "close"}
        assert play.report["steps"] == shown["steps"]

    run(main())

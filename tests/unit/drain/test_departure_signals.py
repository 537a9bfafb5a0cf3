"""Signals that come late, or more than once, while an app departs."""

from __future__ import annotations

import asyncio

import pytest

from lifecycle.states import State
from tests.unit.control.registries import Scripted, after
from tests.unit.drain.play import Play, soon
from tests.unit.drain.test_departure_edges import Slow, With
from tests.unit.virtual_time import run


def test_sigterm_after_prestop_was_answered_hurries_nobody() -> None:
    """It is what preStop waited for, though another preStop has not been told yet."""

    async def main() -> None:
        play = await Play().open()

        async def as_soon_as_it_is_over() -> None:
            await play.departure.wait_over.wait()
            play.signal()

        first = asyncio.create_task(as_soon_as_it_is_over())
        await asyncio.sleep(0)
        answered = [play.prestop(), play.prestop()]
        await play.end()
        await asyncio.gather(first, *answered)
        assert (play.drained_at, play.seconds) == (soon(5), soon(23))

    run(main())


def test_prestop_answered_at_the_deadline_leaves_sigterm_its_second() -> None:
    """The kubelet sends SIGTERM when preStop is answered: that takes a moment."""

    async def main() -> None:
        play = await Play().open()
        play.life.track().__enter__()
        answered = play.prestop()
        await play.end()
        assert await answered == soon(25)
        assert play.drained_at == soon(26)
        assert play.report["steps"]["signal"] == soon(26)

    run(main())


@pytest.mark.parametrize("how", ["signal", "force"])
def test_forced_while_closing_is_too_late(how: str) -> None:
    """The exit code is decided and told: neither it nor the report says "forced" beside it."""

    async def main() -> None:
        play = await Play(Slow()).open()
        play.signal()

        def late() -> None:
            assert play.life.snapshot()["drain"]["step"] == "close"  # type: ignore[index]
            play.signal() if how == "signal" else play.departure.force()

        play.at(5.2, late)
        assert await play.end() == soon(5.5)
        assert play.departure.exit_code == 0
        assert "forced" not in play.report
        assert play.report["code"] == 0
        assert [each["second"] for each in play.stage.diary.of("signal")] == [False]

    run(main())


def test_force_before_t0_forces_nothing() -> None:
    """There is no drain that it could cut short."""

    async def main() -> None:
        play = await Play().open()
        play.departure.force()
        play.signal()
        assert await play.end() == soon(5)
        assert play.departure.exit_code == 0

    run(main())


def test_signals_are_told_of() -> None:
    """Each that counts, by name, and whether it was the second."""

    async def main() -> None:
        play = await Play().open()
        play.signal("SIGTERM")
        play.at(0.24, play.signal)
        play.at(0.26, lambda: play.signal("SIGINT"))
        await play.end()
        told = [(each["signal"], each["second"]) for each in play.stage.diary.of("signal")]
        assert told == [("SIGTERM", False), ("SIGINT", True)]

    run(main())


@pytest.mark.parametrize(("apart", "forced"), [(0.25, True), (0.249, False)])
def test_when_two_signals_are_two(apart: float, *, forced: bool) -> None:
    """From 250 ms on."""

    async def main() -> None:
        play = await Play().open()
        play.signal()
        assert not play.departure.pressed_again()
        play.at(apart, play.signal)
        await play.end()
        assert play.departure.exit_code == int(forced)
        assert ("forced" in play.report) is forced

    run(main())


def test_forced_nobody_waits_for_what_is_in_flight() -> None:
    """Once deregistered, it is over at once; what is in flight is cut off, and named."""

    async def main() -> None:
        play = await Play().open()
        play.life.track().__enter__()
        play.signal()
        play.at(3, play.signal)
        assert await play.end() == pytest.approx(3, abs=0.02)
        assert play.drained_at == pytest.approx(3, abs=0.02)
        [cut] = play.report["cut_off"]
        assert cut.startswith("tracked work, after 3.0 s, at ")
        assert (play.departure.exit_code, play.state) == (1, State.FAILED)

    run(main())


def test_the_deregistration_has_a_second_when_it_is_forced() -> None:
    """`drained` does not come before it: clients that find us still would be refused."""

    async def main() -> None:
        registry = Scripted()
        play = await Play(With(registry)).open()
        registry.on_deregister = after(3.5)
        play.signal()
        play.at(3, play.signal)
        assert await play.end() == soon(3.5)
        assert play.drained_at == soon(3.5)
        assert registry.there == set()
        assert "unregistered" not in play.report

    run(main())

"""The edges of a departure: what begins it, who joins it, plans that shrink."""

from __future__ import annotations

import asyncio

import pytest

from lifecycle.config import Config
from lifecycle.drain.exit_code import Ending
from lifecycle.drain.host import Embedded
from lifecycle.drain.timetable import Timetable
from lifecycle.hookspecs import hookimpl
from lifecycle.states import Transition
from tests.unit.control.registries import Scripted, With, after
from tests.unit.drain.play import NEVER, Play, soon
from tests.unit.virtual_time import Stage, now, run


class Slow:
    """Takes its time with each transition, so that the closing takes long."""

    @hookimpl
    async def lifecycle_transition(self, transition: Transition) -> None:
        """Take longer than the closing has, at the end."""
        await asyncio.sleep(NEVER if transition.after.leaving else 0)


# T0


def test_a_drain_while_a_registration_is_under_way() -> None:
    """A registry may have told clients of us already: settle and quiet are waited for."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register = after(2)
        play = await Play(With(registry)).open(ready=False)
        play.life.export("orders", port=80)
        becoming = asyncio.create_task(play.life.ready())
        await asyncio.sleep(1)
        play.signal()
        assert await play.end() == soon(5)
        await asyncio.wait({becoming})
        assert becoming.exception() is not None
        assert registry.there == set()

    run(main())


def test_arrivals_before_anybody_can_have_found_us_are_waited_for_too() -> None:
    """Quiet is waived, not forgotten: who comes all the same is served, and then it is quiet."""

    async def main() -> None:
        play = await Play(quiet=1).open(ready=False)
        work = play.life.track()
        work.__enter__()
        play.at(2, lambda: play.stage.core.traffic.arrived("curl/8"))
        play.at(2.5, lambda: work.__exit__(None, None, None))
        play.signal()
        assert await play.end() == soon(3)

    run(main())


def test_main_that_ends_during_the_drain_waits_for_no_more_arrivals() -> None:
    """Settle and quiet lose their sense when main is over, however many still ask."""

    async def main() -> None:
        play = await Play().open()
        play.signal()
        for tick in range(100):
            play.at(tick / 10, lambda: play.stage.core.traffic.arrived("curl/8"))
        play.at(2, lambda: play.departure.main_ended(Ending(0), "main returned"))
        assert await play.end() == soon(2)
        assert play.departure.exit_code == 0

    run(main())


@pytest.mark.parametrize(("settle", "end"), [(0, 1), (5, 5)])
def test_quiet_is_counted_from_the_beginning_of_the_drain(settle: float, end: float) -> None:
    """Nobody tells when the last one came before it, so that is taken for the moment."""

    async def main() -> None:
        play = await Play(settle=settle, quiet=1).open()
        play.life.begin_drain("asked")
        assert await play.end() == soon(end)

    run(main())


def test_what_is_so_before_anything_happens() -> None:
    """No host, no signal, no preStop: nothing may be cancelled, and nobody kills."""

    async def main() -> None:
        stage = Stage(Config())
        fresh, host = stage.departure, Embedded(stage.core.app_loop)
        assert [
            host.cancels_main,
            host.ends_in_time,
            fresh.stubborn,
            fresh.ended_by_itself,
            fresh.signalled,
            fresh.terminating,
        ] == [False] * 6
        assert fresh.snapshot(now()) is None
        assert (fresh.exit_code, fresh.drain) == (124, None)

    run(main())


def test_a_host_that_says_nothing_of_main() -> None:
    """Without a way to stop or cancel main, or to clear up, the departure comes to its end."""

    async def main() -> None:
        stage = await Stage(Config()).open()
        stage.departure.signal("SIGTERM", terminal=False)
        drain = stage.departure.drain
        assert drain is not None
        assert stage.departure.snapshot(now())["step"] == ""  # type: ignore[index]
        await stage.close()
        assert now() - drain.timetable.began == soon(29)
        assert (stage.departure.exit_code, stage.departure.stubborn) == (124, True)
        [report] = stage.diary.of("drain report")
        assert report["cut_off"] == [
            "main, which had not ended in time",
            "main, which did not end when it was cancelled",
        ]

    run(main())


@pytest.mark.parametrize("first", [True, False])
def test_whether_main_ended_by_itself(*, first: bool) -> None:
    """It did if that began the drain."""

    async def main() -> None:
        play = await Play().open()
        if first:
            play.departure.main_ended(Ending(0), "main returned")
            assert play.departure.ended_by_itself is True
        play.signal()
        await play.end()
        assert first or play.departure.ended_by_itself is False
        assert play.report["cause"] == ("main returned" if first else "SIGTERM")

    run(main())


# Joining


@pytest.mark.parametrize(("ours", "end"), [(True, 25), (False, 9)])
def test_who_joins_in_somebody_elses_loop_says_sigterm(*, ours: bool, end: float) -> None:
    """Embedded, the signals are the host's: joining after preStop ends its wait."""

    async def main() -> None:
        play = await Play().open()
        play.host.ours = ours
        answered = play.prestop()
        play.at(9, lambda: play.life.begin_drain("the host's SIGTERM"))
        await play.end()
        assert await answered == soon(5)
        assert play.drained_at == soon(end)
        assert play.report["cause"] == "preStop"

    run(main())


def test_prestop_that_joins_a_drain_of_our_own_waits_for_sigterm() -> None:
    """Whoever began: once preStop was called, the kubelet sends a SIGTERM."""

    async def main() -> None:
        play = await Play().open()
        play.life.begin_drain("asked")
        answered = play.prestop()
        await asyncio.sleep(0)
        assert not play.departure.signalled
        assert play.departure.terminating
        play.at(7, play.signal)
        await play.end()
        assert (await answered, play.drained_at) == (soon(5), soon(7))
        assert play.departure.signalled

    run(main())


@pytest.mark.parametrize("how", ["preStop", "SIGTERM", "begin_drain"])
def test_whether_a_grace_period_runs(how: str) -> None:
    """After preStop or a signal somebody outside kills at its end; else nobody does."""

    async def main() -> None:
        play = await Play().open()
        assert not play.departure.terminating
        if how == "preStop":
            play.prestop()
            await asyncio.sleep(0)
        elif how == "SIGTERM":
            play.signal()
        else:
            play.life.begin_drain("asked")
        assert play.departure.terminating is (how != "begin_drain")
        assert play.departure.signalled is (how == "SIGTERM")
        play.signal()
        await play.end()

    run(main())


# The plan


def test_the_watchdog_learns_each_plan() -> None:
    """At T0, when SIGTERM comes before preStop was answered, and when it is forced."""

    async def main() -> None:
        plans: list[tuple[float, float]] = []
        play = await Play().open()

        def plan(timetable: Timetable) -> None:
            plans.append((now() - timetable.began, timetable.exit_by - timetable.began))

        play.host.planned = plan
        play.life.track().__enter__()
        play.prestop()
        await asyncio.sleep(0.001)
        assert plans == [(soon(0), soon(29.5))]
        play.at(7, play.signal)
        play.at(7.5, play.signal)
        await play.end()
        hurried = next(exit_by for at, exit_by in plans if at == pytest.approx(7, abs=0.01))
        forced = next(exit_by for at, exit_by in plans if at == pytest.approx(7.5, abs=0.01))
        assert hurried == pytest.approx(7 + 1 + 0.2 + 0.2 + 0.2, abs=0.01)
        assert forced == pytest.approx(hurried, abs=0.01), "it only ever shrinks"

    run(main())


def test_closing_leaves_the_watchdog_its_time() -> None:
    """With main stubborn to the end, what closes slowly has no half second left."""

    async def main() -> None:
        registry = Scripted()
        registry.on_close = after(NEVER)
        play = await Play(With(registry), Slow()).open()
        play.deaf = play.stubborn = True
        play.signal()
        assert await play.end() == pytest.approx(29.4, abs=0.05)
        assert play.departure.exit_code == 124

    run(main())


@pytest.mark.parametrize(("ours", "end"), [(True, 5.5), (False, 5.5)])
def test_closing_has_half_a_second(*, ours: bool, end: float) -> None:
    """Registries and plugins that hang cost that much, and no more, in any host."""

    async def main() -> None:
        registry = Scripted()
        registry.on_close = after(NEVER)
        play = await Play(With(registry), Slow()).open()
        play.host.ours = ours
        play.signal()
        assert await play.end() == soon(end)

    run(main())


def test_closing_has_half_a_second_however_late_where_nobody_kills() -> None:
    """In somebody else's loop no watchdog comes after it."""

    async def main() -> None:
        registry = Scripted()
        registry.on_close = after(NEVER)
        play = await Play(With(registry), Slow()).open()
        play.host.ours = False
        play.cleanup = 35
        play.signal()
        assert await play.end() == pytest.approx(40.5, abs=0.05)

    run(main())


@pytest.mark.parametrize(("ours", "end"), [(True, 28), (False, 40)])
def test_main_that_is_not_ours_has_all_the_time(*, ours: bool, end: float) -> None:
    """In somebody else's loop nothing of main is cancelled: it ends when it ends."""

    async def main() -> None:
        play = await Play().open()
        play.host.ours = ours
        play.cleanup = 35
        play.signal()
        assert await play.end() == soon(end)
        assert ("cut_off" in play.report) is ours

    run(main())

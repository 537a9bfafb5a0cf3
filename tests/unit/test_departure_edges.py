"""The edges of a departure: late signals, plans that shrink, who is told what when it is cut short."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lifecycle.config import Config
from lifecycle.contracts import Registry
from lifecycle.departure import Departure, Ending
from lifecycle.drain import Timetable
from lifecycle.hookspecs import hookimpl
from lifecycle.states import State, Transition
from tests.unit.play import NEVER, Play, soon
from tests.unit.registries import Scripted, after
from tests.unit.test_departure import WithStuck
from tests.unit.virtual_time import Stage, now, run


class With:
    """Gives a registry."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    @hookimpl
    def lifecycle_registries(self) -> Registry:
        """Give it."""
        return self.registry


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
        play.at(2, lambda: play.life._traffic.arrived("curl/8"))
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
            play.at(tick / 10, lambda: play.life._traffic.arrived("curl/8"))
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
        fresh = Departure(stage.conductor)
        assert [
            fresh.main_is_ours,
            fresh.stubborn,
            fresh.ended_by_itself,
            fresh.signalled,
            fresh.terminating,
        ] == [False] * 5
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
        play.departure.main_is_ours = ours
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


# Signals that come late


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
        assert play.report["cut_off"] == ["1 in flight"]
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


# The plan


def test_the_watchdog_learns_each_plan() -> None:
    """At T0, when SIGTERM comes before preStop was answered, and when it is forced."""

    async def main() -> None:
        plans: list[tuple[float, float]] = []
        play = await Play().open()

        def plan(timetable: Timetable) -> None:
            plans.append((now() - timetable.began, timetable.exit_by - timetable.began))

        play.departure.on_plan = plan
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
        play.departure.main_is_ours = ours
        play.signal()
        assert await play.end() == soon(end)

    run(main())


@pytest.mark.parametrize(("ours", "end"), [(True, 28), (False, 40)])
def test_main_that_is_not_ours_has_all_the_time(*, ours: bool, end: float) -> None:
    """In somebody else's loop nothing of main is cancelled: it ends when it ends."""

    async def main() -> None:
        play = await Play().open()
        play.departure.main_is_ours = ours
        play.cleanup = 35
        play.signal()
        assert await play.end() == soon(end)
        assert ("cut_off" in play.report) is ours

    run(main())


# Who waits for moments of the drain


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
        drained = play.stage.conductor.machine.history[-1]
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

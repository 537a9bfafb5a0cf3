"""What plugins send when main has ended: `lifecycle_stop`, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lifecycle.contracts import Instance, Registry
from lifecycle.drain.drain import Stop
from lifecycle.drain.exit_code import Ending
from lifecycle.hookspecs import hookimpl
from lifecycle.links import help_page
from lifecycle.states import State, Transition
from tests.unit.drain.play import NEVER, Play, soon
from tests.unit.virtual_time import Hang, hang_for_ever, now, run


class Exporter:
    """A plugin with an async hook, which notes what it was told and takes so long."""

    def __init__(self, takes: float = 0.0) -> None:
        self.takes = takes
        self.calls: list[tuple[float, int, str, float]] = []
        self.cancelled_at = -1.0

    @hookimpl
    async def lifecycle_stop(self, stop: Stop) -> None:
        """Send what is left."""
        self.calls.append((now(), stop.code, stop.cause, stop.seconds_left))
        try:
            await asyncio.sleep(self.takes)
        except asyncio.CancelledError:
            self.cancelled_at = now()
            raise


class Seen(Registry):
    """A registry that notes what happens to it, in a diary that others write to as well."""

    name = "seen"

    def __init__(self, diary: list[str]) -> None:
        self.diary = diary

    async def __aexit__(self, *_: object) -> None:
        self.diary.append("registry closed")

    async def register(self, instance: Instance) -> None:
        """Register."""

    async def deregister(self, instance: Instance) -> None:
        """Deregister."""
        self.diary.append("deregistered")

    async def keep(self, instance: Instance) -> str:
        """Keep it."""
        return await asyncio.Event().wait()  # type: ignore[return-value]


class Whole:
    """A plugin with a registry, and every hook of an end."""

    def __init__(self) -> None:
        self.diary: list[str] = []

    @hookimpl
    def lifecycle_registries(self) -> Registry:
        """Give the registry."""
        return Seen(self.diary)

    @hookimpl
    async def lifecycle_drain(self) -> None:
        """Note it."""
        self.diary.append("drain")

    @hookimpl
    async def lifecycle_transition(self, transition: Transition) -> None:
        """Note the last ones."""
        if transition.after in (State.DRAINING, State.STOPPED):
            self.diary.append(transition.after.name)

    @hookimpl
    async def lifecycle_stop(self, life: Any, stop: Stop) -> None:
        """Note it, and the state."""
        self.diary.append(f"stop in {life.state.name}, {life.snapshot()['drain']['step']}")


def test_it_is_called_when_main_has_ended_and_before_anything_is_closed() -> None:
    """So nothing is recorded after it, and what it needs is still there."""

    async def main() -> None:
        plugin = Whole()
        play = await Play(plugin).open()
        play.signal()
        await play.end()
        assert sorted(plugin.diary[:3]) == ["DRAINING", "deregistered", "drain"]
        assert plugin.diary[3:] == ["stop in DRAINING, flush", "STOPPED", "registry closed"]

    run(main())


def test_it_is_told_how_it_ended_and_how_long_it_has() -> None:
    """The exit code so far, what began the drain, and its seconds, a little less than they are."""

    async def main() -> None:
        exporter = Exporter(takes=0.5)
        play = await Play(exporter, code=3).open()
        play.signal()
        assert await play.end() == soon(5.5)
        ((at, code, cause, seconds),) = exporter.calls
        assert play.departure.drain is not None
        assert at - play.departure.drain.timetable.began == soon(5)
        assert (code, cause) == (3, "SIGTERM")
        assert seconds == pytest.approx(2.95, abs=0.01)
        assert play.report["steps"]["flush"] == soon(5.5)
        assert play.report["steps"]["close"] == soon(5.5)
        assert "waited_for" not in play.report

    run(main())


@pytest.mark.parametrize("how", ["async", "thread"])
def test_one_that_hangs_is_left_when_its_time_is_over_and_is_named(how: str) -> None:
    """The others have been called too, the app has exited in time, and its code is its own."""

    async def main() -> None:
        hang, exporter = Hang(), Exporter()

        class Collector:
            @hookimpl
            def lifecycle_stop(self) -> None:
                hang.wait()

        class AsyncCollector:
            @hookimpl
            async def lifecycle_stop(self) -> None:
                await hang_for_ever()

        bad = Collector() if how == "thread" else AsyncCollector()
        play = await Play(bad, exporter).open()
        play.signal()
        assert await play.end() == soon(5 + 3)
        hang.let_go()
        name = type(bad).__name__
        assert len(exporter.calls) == 1
        assert play.departure.exit_code == 0
        assert play.report["waited_for"] == f"lifecycle_stop of plugin {name!r}"
        assert "cut_off" not in play.report
        assert play.report["see"] == help_page("drain-report")
        assert play.stage.diary.of("plugin") == [
            {
                "plugin": name,
                "problem": "lifecycle_stop gave no answer for 3.0 s",
                "see": help_page("plugin-hook-failed"),
            }
        ]

    run(main())


def test_while_one_is_at_work_the_status_names_it() -> None:
    """So `lifecycle status` says what an app that does not exit is waiting for."""

    async def main() -> None:
        play = await Play(Exporter(takes=2)).open()
        play.signal()
        await asyncio.sleep(6)
        drain = play.life.snapshot()["drain"]
        assert drain is not None
        assert drain["step"] == "flush"
        assert drain["waiting_for"] == ["lifecycle_stop of plugin 'Exporter'"]
        await play.end()
        assert play.life.snapshot()["drain"]["waiting_for"] == []  # type: ignore[index]

    run(main())


@pytest.mark.parametrize("how", ["async", "plain"])
def test_one_that_raises_is_logged_and_changes_nothing(how: str) -> None:
    """Whatever it raises."""

    class Broken:
        @hookimpl
        def lifecycle_stop(self) -> None:
            raise SystemExit(7)

    class AsyncBroken:
        @hookimpl
        async def lifecycle_stop(self) -> None:
            raise SystemExit(7)

    async def main() -> None:
        exporter = Exporter()
        bad = Broken() if how == "plain" else AsyncBroken()
        play = await Play(bad, exporter).open()
        play.signal()
        assert await play.end() == soon(5)
        assert len(exporter.calls) == 1
        assert play.departure.exit_code == 0
        (told,) = play.stage.diary.of("plugin")
        assert told["problem"] == "lifecycle_stop raised SystemExit: 7"
        assert "waited_for" not in play.report

    run(main())


def test_when_main_was_cut_off_it_has_a_second() -> None:
    """The second is main's, whose time ends that much earlier; the process ends as ever."""

    async def main() -> None:
        exporter = Exporter(takes=NEVER)
        play = Play(exporter)
        play.deaf = True
        await play.open()
        play.signal()
        assert await play.end() == soon(29)
        ((at, code, _, seconds),) = exporter.calls
        assert exporter.cancelled_at - at == pytest.approx(2, abs=0.05), "as main ended when asked"
        assert (play.seconds, seconds, code) == (soon(22), pytest.approx(1.95, abs=0.05), 124)
        assert play.departure.exit_code == 124

    run(main())


def test_when_main_ignores_its_cancellation_it_has_a_second_less_0_2_s() -> None:
    """As in the paragraph above, but main takes its second, and is left to itself."""

    async def main() -> None:
        exporter = Exporter(takes=NEVER)
        play = Play(exporter)
        play.deaf = play.stubborn = True
        await play.open()
        play.signal()
        assert await play.end() == soon(29)
        ((at, *_),) = exporter.calls
        assert exporter.cancelled_at - at == pytest.approx(1, abs=0.05)

    run(main())


def test_a_main_that_ends_by_itself_leaves_it_all_of_stop_timeout() -> None:
    """Nobody is in a hurry, but an exporter whose collector is away does not hold a job for long."""

    async def main() -> None:
        exporter = Exporter(takes=NEVER)
        play = await Play(exporter, stop_timeout=7).open()
        play.departure.main_ended(Ending(), "main returned")
        assert await play.end() == soon(7)
        ((_, code, cause, seconds),) = exporter.calls
        assert (code, cause) == (0, "main returned")
        assert seconds == pytest.approx(6.95, abs=0.05)

    run(main())


@pytest.mark.parametrize(("second", "end"), [(5.5, 6), (8, 8)])
def test_a_second_signal_while_it_is_at_work_leaves_it_a_second_in_all(
    second: float, end: float
) -> None:
    """Its time becomes shorter while it runs, and so does what it is told."""

    async def main() -> None:
        told: list[float] = []

        class Slow:
            @hookimpl
            async def lifecycle_stop(self, stop: Stop) -> None:
                await asyncio.sleep(0.8)
                told.append(stop.seconds_left)
                await hang_for_ever()

        play = await Play(Slow(), stop_timeout=10).open()
        play.signal()
        play.at(second, play.signal)
        assert await play.end() == soon(end)
        assert told == [pytest.approx(0.15 if second < 5.8 else 9.15, abs=0.05)]
        assert play.departure.exit_code == 1

    run(main())


def test_after_a_second_signal_it_has_a_second() -> None:
    """Main ends at once, and so nothing else takes time."""

    async def main() -> None:
        exporter = Exporter(takes=NEVER)
        play = await Play(exporter).open()
        play.life.track().__enter__()
        play.signal()
        play.at(2, play.signal)
        assert await play.end() == soon(3)
        ((_, code, _, seconds),) = exporter.calls
        assert code == 1
        assert seconds == pytest.approx(0.95, abs=0.05)

    run(main())


def test_in_somebody_elses_loop_it_has_its_time_whenever_main_ends() -> None:
    """Also long after the grace period: what is over then is nobody's but the app's."""

    async def main() -> None:
        exporter = Exporter(takes=NEVER)
        play = Play(exporter)
        play.cleanup = 50
        play.host.ours = False
        await play.open()
        play.life.begin_drain("asked")
        assert await play.end() == soon(5 + 50 + 1)
        assert len(exporter.calls) == 1

    run(main())


def test_a_plugin_that_was_removed_is_not_called() -> None:
    """Nor one that has no such hook waited for: then there is no such step."""

    async def main() -> None:
        exporter = Exporter()
        play = await Play(exporter).open()
        await play.stage.conductor.activation.deactivate("Exporter", exporter)
        play.signal()
        await play.end()
        assert exporter.calls == []
        assert "flush" not in play.report["steps"]
        assert play.seconds == soon(23)

    run(main())

"""When the registries forget an app that leaves: after its last request, before it stops listening."""

from __future__ import annotations

import asyncio

import pytest

from lifecycle.drain.exit_code import Ending
from tests.unit.control.registries import Act, Forgetful, Scripted, With, after, failing, fine, hang
from tests.unit.drain.play import Play, soon
from tests.unit.virtual_time import now, run


class Timed(Forgetful):
    """One that notes when it was asked to forget, and what had happened by then."""

    def __init__(self, settle: float | None = None) -> None:
        super().__init__()
        self.settle = settle
        self.asked_at: list[float] = []
        act = self.on_forget

        async def note() -> None:
            self.asked_at.append(now())
            await act()

        self.on_forget = note

    def then(self, act: Act) -> Timed:
        """Do this when it is asked."""

        async def note() -> None:
            self.asked_at.append(now())
            await act()

        self.on_forget = note
        return self

    def after(self, play: Play) -> float:
        """Return when it was asked first, in seconds after the drain start."""
        drain = play.departure.drain
        assert drain is not None
        return self.asked_at[0] - drain.timetable.began


def test_it_comes_after_the_wait_and_before_main_is_told() -> None:
    """Settle 5 and quiet 1, of which main hears only when the registry has forgotten it."""

    async def main() -> None:
        registry = Timed().then(after(0.7))
        play = await Play(With(registry)).open()
        play.signal()
        await play.end()
        assert registry.after(play) == soon(5)
        assert play.drained_at == soon(5.7)
        assert registry.known == set()
        assert list(play.report["steps"])[-4:] == ["wait", "forget", "stop", "close"]
        assert "not_forgotten" not in play.report

    run(main())


def test_prestop_returns_after_it() -> None:
    """A server that closes its listener at SIGTERM must not do so before."""

    async def main() -> None:
        registry = Timed().then(after(0.7))
        play = await Play(With(registry)).open()
        answered = play.prestop()
        await asyncio.sleep(5.3)
        assert play.departure.snapshot(now())["step"] == "forget"  # type: ignore[index]
        assert play.departure.snapshot(now())["waiting_for"] == [  # type: ignore[index]
            "forget orders@reg: no answer yet"
        ]
        play.at(2, play.signal)
        assert await answered == soon(5.7)
        await play.end()
        assert play.drained_at == soon(7.3)

    run(main())


@pytest.mark.parametrize(
    ("on_forget", "seconds"),
    [(hang, 2), (failing(OSError("away")), 2), (after(1), 1)],
    ids=["hangs", "fails", "slow"],
)
def test_it_is_waited_for_no_longer_than_two_seconds(on_forget: Act, seconds: float) -> None:
    """Then the app stops all the same, and the report says what may be left."""

    async def main() -> None:
        registry = Timed().then(on_forget)
        play = await Play(With(registry)).open()
        play.signal()
        await play.end()
        assert play.drained_at == soon(5 + seconds)
        told = play.report.get("not_forgotten")
        assert (told is not None) is (seconds == 2)
        if told is not None:
            assert told[0].startswith("orders@reg: ")
        assert play.departure.exit_code == 0

    run(main())


def test_what_was_late_is_still_done_while_main_stops() -> None:
    """It is tried until the registries are closed."""

    async def main() -> None:
        registry = Timed().then(after(3))
        play = await Play(With(registry)).open()
        play.cleanup = 2.0
        play.signal()
        await play.end()
        assert play.drained_at == soon(7)
        assert registry.known == set()
        assert "not_forgotten" not in play.report

    run(main())


def test_a_registry_that_never_answers_does_not_hold_the_drain_longer_than_register_timeout() -> (
    None
):
    """Neither its deregistration nor its forgetting is waited for beyond that."""

    async def main() -> None:
        registry = Timed().then(hang)
        registry.on_deregister = hang
        play = await Play(With(registry)).open()
        play.signal()
        await play.end()
        assert registry.after(play) == soon(9.5)
        assert play.drained_at == soon(10)

    run(main())


def test_with_work_in_flight_to_the_deadline() -> None:
    """It has its half second before the deadline, not after it."""

    async def main() -> None:
        registry = Timed().then(after(0.3))
        play = await Play(With(registry)).open()
        with play.life.track():
            play.signal()
            await asyncio.sleep(24.9)
            assert registry.known == set()
            await play.end()
        assert registry.after(play) == soon(24.5)
        assert play.drained_at == soon(24.8)

    run(main())


@pytest.mark.parametrize("at", [1.0, 20.0])
@pytest.mark.parametrize("on_forget", [fine, hang], ids=["at once", "hangs"])
def test_forced_by_a_second_signal(at: float, on_forget: Act) -> None:
    """It comes at once, and has half a second, as the deregistration has."""

    async def main() -> None:
        registry = Timed().then(on_forget)
        play = await Play(With(registry)).open()
        with play.life.track():
            play.signal()
            play.at(at, play.signal)
            await play.end()
        assert registry.after(play) == soon(at)
        assert play.drained_at == soon(at if on_forget is fine else at + 1)
        assert play.departure.exit_code == 1

    run(main())


def test_sigterm_before_prestop_has_returned() -> None:
    """The grace period was shorter than it was said: it has half of the last second."""

    async def main() -> None:
        registry = Timed()
        play = await Play(With(registry)).open()
        with play.life.track():
            answered = play.prestop()
            play.at(3, play.signal)
            await answered
            assert registry.known == set()
            await play.end()
        assert registry.after(play) == soon(3.5)

    run(main())


@pytest.mark.parametrize("ending", [Ending(), Ending(1), Ending(interrupted=True)])
def test_main_has_ended_by_itself(ending: Ending) -> None:
    """Whether it returned, failed or was interrupted."""

    async def main() -> None:
        registry = Timed()
        play = await Play(With(registry)).open()
        play.departure.main_ended(ending, "main ended")
        await play.end()
        assert registry.known == set()
        assert registry.asked[-2:] == ["deregister", "forget"]
        assert registry.after(play) == soon(0)

    run(main())


def test_offline_before() -> None:
    """Then only that is left: it was deregistered long ago."""

    async def main() -> None:
        registry = Timed()
        play = await Play(With(registry)).open()
        play.life.offline("*")
        await asyncio.sleep(100)
        assert registry.known == {"orders"}
        play.signal()
        await play.end()
        assert registry.known == set()
        assert registry.asked[-2:] == ["deregister", "forget"]

    run(main())


def test_the_start_is_not_over() -> None:
    """A registration is under way when the drain starts: the registry may know the address."""

    async def main() -> None:
        registry = Timed()
        registry.on_register = hang
        play = await Play(With(registry)).open(ready=False)
        play.life.export("orders", port=80)
        ready = asyncio.create_task(play.life.ready())
        await asyncio.sleep(1)
        play.signal()
        await play.end()
        await asyncio.wait({ready})
        assert ready.exception() is not None
        assert registry.known == set()

    run(main())


def test_without_the_drain_handler() -> None:
    """Nothing is waited for, and all the same nothing is left."""

    async def main() -> None:
        registry = Timed()
        play = await Play(With(registry), plugins=("no:drain",)).open()
        play.signal()
        await play.end()
        assert registry.known == registry.there == set()
        assert registry.after(play) == soon(0)

    run(main())


def test_nothing_is_to_be_forgotten() -> None:
    """No registry has it: the drain has no such step, and all of its time."""

    async def main() -> None:
        play = await Play(With(Scripted())).open()
        with play.life.track():
            play.signal()
            await asyncio.sleep(0.1)
            assert play.departure.drain is not None
            assert play.departure.drain.time_left() == pytest.approx(24.9)
            await play.end()
        assert "forget" not in play.report["steps"]

    run(main())


@pytest.mark.parametrize(("settle", "drained"), [(None, 5), (3.0, 5), (7.0, 7)])
def test_the_settle_time_of_a_registry(settle: float | None, drained: float) -> None:
    """The drain, `/status` and the report have the longest, and say whose it is."""

    async def main() -> None:
        registry = Timed(settle)
        play = await Play(With(registry)).open()
        named = "reg" if drained == 7 else ""
        before = play.life.snapshot()
        assert (before["settle"], before["settle_from"]) == (drained, named)
        play.signal()
        await play.end()
        assert play.drained_at == soon(drained)
        after_it = play.life.snapshot()
        assert (after_it["settle"], after_it["settle_from"]) == (drained, named)
        assert play.report["settings"]["settle"] == drained
        assert play.report.get("settle_from", "") == named

    run(main())


def test_the_settle_time_of_a_registry_in_a_maintenance() -> None:
    """Idle connections are closed when its clients have noticed, and not before."""

    async def main() -> None:
        play = await Play(With(Timed(7.0))).open()
        play.life.offline("*")
        await asyncio.sleep(6.9)
        assert not play.life.ends_idle_connections
        await asyncio.sleep(0.2)
        assert play.life.ends_idle_connections
        play.departure.main_ended(Ending(), "test")
        await play.end()

    run(main())


def test_many_services_are_forgotten_side_by_side() -> None:
    """However many: it takes as long as one."""

    async def main() -> None:
        registry = Timed().then(after(0.4))
        play = await Play(With(registry)).open()
        for number in range(200):
            play.life.export(f"s{number}", port=81)
        await asyncio.sleep(1)
        play.signal()
        await play.end()
        assert registry.known == set()
        assert play.drained_at == soon(5.4)

    run(main())

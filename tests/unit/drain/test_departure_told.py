"""What those are told who wait for a drain's end, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from lifecycle.asgi import Managed
from lifecycle.links import help_page
from tests.unit.drain.play import Play, soon
from tests.unit.drain.test_departure import WithStuck
from tests.unit.virtual_time import run


def test_drained_tells_the_time_that_is_left_now() -> None:
    """Who asks later is told less, to the end."""

    async def main() -> None:
        play = await Play().open()
        play.cleanup = 4
        later: list[float] = []

        async def ask_again() -> None:
            await play.life.drained()
            await asyncio.sleep(3)
            later.append(await play.life.drained())

        asking = asyncio.create_task(ask_again())
        play.signal()
        await play.end()
        await asking
        assert (play.seconds, later) == (soon(23), [soon(20)])

    run(main())


def test_main_is_told_before_drained_returns() -> None:
    """What stops a server comes first, so that it is told in whatever order main then ends."""

    async def main() -> None:
        play = await Play().open()
        order: list[str] = []
        play.host.stop_main = lambda: order.append(
            "late" if play.departure.drained.happened else "first"
        )
        play.signal()
        await play.end()
        assert order == ["first"]

    run(main())


def test_a_main_that_nobody_knows_better_is_where_its_loops_thread_is() -> None:
    """Without a task to name: the report shows the stack of the thread that the loop is on."""

    async def main() -> None:
        play = await Play().open()
        play.deaf = True
        play.signal()
        await play.end()
        assert play.report["cut_off"] == ["main, which had not ended in time"]
        assert any("lifecycle/drain/actions.py" in line for line in play.report["stuck_at"])

    run(main())


@pytest.mark.parametrize("lost", ["names", "last_disturbers", "straggler"])
def test_a_report_that_cannot_be_made_holds_up_no_drain(
    lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is only said is not needed: the drain keeps its time, and its report has the rest."""

    def fail() -> None:
        raise ZeroDivisionError("ours")

    async def main() -> None:
        play = await Play().open()
        play.life.track().__enter__()
        play.deaf = True
        play.signal()
        owner = play.host if lost == "straggler" else play.stage.core.traffic
        monkeypatch.setattr(owner, lost, fail)
        await asyncio.sleep(1)
        assert play.life.snapshot()["drain"] is not None
        assert await play.end() == soon(28)
        assert play.drained_at == soon(25)
        assert play.report["cut_off"][0] == "main, which had not ended in time"
        if lost == "names":
            assert play.report["waited_for"] == "(cannot be named: ZeroDivisionError: ours)"

    run(main())


def test_a_drain_cut_short_says_so_to_who_waits_for_the_deregistration() -> None:
    """Nobody waits for ever for an answer that is not asked for any more."""

    async def main() -> None:
        play = await Play(WithStuck(), register_timeout=8).open()
        play.signal()
        play.at(1, play.signal)
        assert play.departure.drain is not None
        asked = asyncio.create_task(play.departure.drain.deregistered())
        await play.end()
        assert await asyncio.wait_for(asked, 1) is False

    run(main())


@pytest.mark.parametrize("step", ["_watch_settle", "_watch_traffic", "_watch_deregistration"])
def test_a_watcher_that_breaks_is_told_of(step: str) -> None:
    """The drain goes on by its timetable, and the log says which part of it is missing."""

    async def main() -> None:
        play = await Play().open()

        async def broken(_: object) -> None:
            raise ZeroDivisionError("ours")

        broken.__name__ = step
        setattr(play.departure, step, broken)
        play.signal()
        await play.end()
        (told,) = play.stage.diary.of("drain")
        see = help_page("error-inside-pod-lifecycle")
        assert told == {"step": step, "problem": "ZeroDivisionError: ours", "see": see}
        assert play.departure.exit_code == 0

    run(main())


def test_under_a_server_an_error_on_the_way_to_ready_is_told_of() -> None:
    """`Managed` has nobody to raise it to: the log has it, and the app goes on as it is."""

    async def main() -> None:
        play = await Play().open(ready=False)
        started = asyncio.Event()
        started.set()

        async def broken() -> None:
            raise ZeroDivisionError("ours")

        play.life.ready = broken  # type: ignore[method-assign]
        managed = Managed(lambda *_: asyncio.sleep(0))
        await managed._ready(play.life, started)
        (told,) = play.stage.diary.of("not ready")
        assert told == {"problem": "ZeroDivisionError: ours", "see": help_page("not-ready")}
        play.signal()
        await play.end()

    run(main())

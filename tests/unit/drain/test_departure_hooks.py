"""Plugins that are still at work before main is told to stop: `lifecycle_drain`, in virtual time."""

from __future__ import annotations

import asyncio

from lifecycle.drain.drain import Drain
from lifecycle.hookspecs import hookimpl
from lifecycle.links import help_page
from tests.unit.drain.play import Play, soon
from tests.unit.virtual_time import Endless, hang_for_ever, run


def test_a_drain_hook_that_hangs_is_named() -> None:
    """In `/status` while it is waited for, in the log, and in the report."""

    async def main() -> None:
        endless = Endless()

        class Kafka:
            @hookimpl
            async def lifecycle_drain(self) -> None:
                await endless()

        play = await Play(Kafka()).open()
        play.signal()
        await asyncio.sleep(1)
        drain = play.life.snapshot()["drain"]
        assert drain is not None
        assert drain["waiting_for"] == ["lifecycle_drain of plugin 'Kafka'"]
        assert await play.end() == soon(25)
        assert len(endless.ended) == 1
        assert play.report["waited_for"] == "lifecycle_drain of plugin 'Kafka'"
        assert play.report["see"] == help_page("drain-report")
        assert play.departure.exit_code == 0
        (told,) = play.stage.diary.of("plugin")
        assert told["problem"] == "lifecycle_drain gave no answer for 25.0 s"

    run(main())


def test_a_drain_hook_that_waits_for_work_in_flight_is_not_to_blame() -> None:
    """It is named beside the work, but there is no complaint about its plugin."""

    async def main() -> None:
        class Server:
            @hookimpl
            async def lifecycle_drain(self, drain: Drain) -> None:
                await drain.idle()

        play = await Play(Server()).open()
        play.life.track("curl/8", "/slow", "GET").__enter__()
        play.signal()
        await play.end()
        assert play.report["waited_for"].split("; ") == [
            "1 in flight: GET /slow from curl/8",
            "lifecycle_drain of plugin 'Server'",
        ]
        assert play.stage.diary.of("plugin") == []

    run(main())


def test_a_name_that_is_no_name_stays_on_its_line() -> None:
    """And a hundred plugins that hang are not all named."""

    async def main() -> None:
        class Bad:
            @hookimpl
            async def lifecycle_drain(self, drain: Drain) -> None:
                await hang_for_ever()

        play = await Play().open()
        for number in range(20):
            play.stage.core.plugins.add(Bad(), f"a\n\x1b[31m{number}")
        await play.stage.conductor.activation.activate()
        play.signal()
        await asyncio.sleep(1)
        drain = play.life.snapshot()["drain"]
        assert drain is not None
        assert len(drain["waiting_for"]) == 10
        assert all(each.isprintable() for each in drain["waiting_for"])
        play.signal()
        await play.end()

    run(main())

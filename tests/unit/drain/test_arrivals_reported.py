"""What a drain reports of late connections and requests, for `lifecycle tune`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lifecycle.asgi import Middleware
from lifecycle.drain.late_arrivals import UNKNOWN
from lifecycle.runtime import core_of
from tests.unit.drain.play import Play, soon
from tests.unit.virtual_time import run

CLIENT = ("10.0.0.7", 4711)
FOR_TUNE = (
    "services",
    "settings",
    "last_connection",
    "last_request",
    "arrivals",
    "connections",
    "listened",
    "settle_factor",
    "after_closing",
)


def of_tune(report: Any) -> dict[str, Any]:
    return {name: report[name] for name in FOR_TUNE if name in report}


async def asks(play: Play, **scope: Any) -> None:
    """Let a client ask an ASGI app."""

    async def app(*_: Any) -> None:
        return None

    headers = [(b"user-agent", scope.pop("agent", "curl/8").encode())]
    seen = {"type": "http", "http_version": "1.1", "headers": headers, "path": "/", "method": "GET"}
    await Middleware(app, play.life)({**seen, "client": CLIENT, **scope}, print, print)


def at(play: Play, seconds: float, **scope: Any) -> asyncio.Task[None]:
    async def later() -> None:
        await asyncio.sleep(seconds)
        await asks(play, **scope)

    return asyncio.create_task(later())


def test_the_report_and_the_status_say_when_the_last_one_came() -> None:
    """With the names and settings that `lifecycle tune` needs, and without health checks."""

    async def main() -> None:
        play = await Play(quiet_ignore=("/metrics",)).open()
        play.signal()
        tasks = [
            at(play, 1.5),
            at(play, 3.25),
            at(play, 4, agent="kube-probe/1.34", client=("10.0.0.1", 1)),
            at(play, 4, path="/metrics", client=("10.0.0.1", 2)),
        ]
        await asyncio.sleep(4.5)
        drain = play.life.snapshot()["drain"]
        await play.end()
        await asyncio.gather(*tasks)
        expected = {
            "last_connection": soon(1.5),
            "last_request": soon(3.25),
            "arrivals": [0, 1, 0, 1],
            "connections": [0, 1],
        }
        assert drain is not None
        assert {name: drain[name] for name in expected} == expected
        assert of_tune(play.report) == {
            "services": ["orders"],
            "settings": {"settle": 5, "quiet": 1, "grace_period": 30, "stop_timeout": 3},
            **expected,
        }

    run(main())


def test_a_quiet_drain_says_that_nothing_came() -> None:
    """Zero is a finding, and is not left out."""

    async def main() -> None:
        play = await Play().open()
        await asks(play)
        play.signal()
        await play.end()
        found = of_tune(play.report)
        assert (found["last_connection"], found["last_request"], found["arrivals"]) == (0, 0, [])

    run(main())


def test_without_a_counter_nothing_is_known() -> None:
    """An app that counts no requests has not been silent."""

    async def main() -> None:
        play = await Play().open()
        play.signal()
        await play.end()
        assert set(of_tune(play.report)) == {"services", "settings"}
        assert core_of(play.life).traffic.arrivals() == UNKNOWN

    run(main())


def test_a_job_has_no_settle_to_find() -> None:
    """Without services there are no clients."""

    async def main() -> None:
        play = await Play().open(ready=False)
        await play.life.ready()
        play.signal()
        await play.end()
        assert of_tune(play.report) == {}

    run(main())


def test_only_twenty_services_are_named() -> None:
    """A line of a log must not grow with their number."""

    async def main() -> None:
        play = await Play().open()
        for number in range(30):
            play.life.export(f"other-{number}", port=81)
        play.signal()
        await play.end()
        services = play.report["services"]
        assert (len(services), services[0], services[-1]) == (21, "orders", "…")

    run(main())


def test_work_that_still_runs_at_the_end_has_come_too() -> None:
    """A long request came late, and its end is not waited for before it counts."""

    async def main() -> None:
        play = await Play(grace_period=12).open()
        traffic = core_of(play.life).traffic
        play.signal()
        await asyncio.sleep(2)
        with traffic.track("curl/8", "/export", "GET") as named:
            named.came_from(CLIENT)
            with play.life.track("curl/8"):
                await play.end()
        assert of_tune(play.report)["last_request"] == soon(2)
        assert of_tune(play.report)["arrivals"] == [0, 0, 2]

    run(main())


def test_who_is_sent_away_has_come_all_the_same() -> None:
    """A WebSocket after settle is refused and does not prolong the drain, but its client came."""

    async def main() -> None:
        play = await Play().open()
        play.signal()
        await asyncio.sleep(4.5)
        await asks(play)
        await asyncio.sleep(0.7)
        with play.life.track("curl/8", "/ws") as work:
            work.came_from(("10.0.0.8", 1))
            work.sent_away()
            work.came_from(("10.0.0.9", 1))
        took = await play.end()
        found = of_tune(play.report)
        assert (took, found["last_connection"]) == (soon(5.5), soon(5.2))
        assert found["connections"] == [0, 0, 0, 0, 1, 1]

    run(main())


@pytest.mark.parametrize("told", [False, True])
def test_work_without_a_name_is_a_request_of_nobody(told: bool) -> None:
    """Except if its client's address is told. It does not matter when the object was made."""

    async def main() -> None:
        play = await Play().open()
        early = play.life.track()
        play.signal()
        await asyncio.sleep(1)
        with early as work:
            if told:
                work.came_from(CLIENT)
        with play.life.track() as work:
            await asyncio.sleep(1)
        await play.end()
        found = of_tune(play.report)
        assert found["arrivals"] == [0, 2]
        assert found.get("last_connection") == (soon(1) if told else None)

    run(main())


def test_after_main_nothing_counts() -> None:
    """A main that has ended by itself serves nobody."""

    async def main() -> None:
        play = await Play().open()
        with play.life.track():
            pass
        play.departure.main_ended(play.departure.ending or _ending(), "main returned")
        await asks(play)
        await play.end()
        assert of_tune(play.report)["arrivals"] == []

    run(main())


def _ending() -> Any:
    from lifecycle.drain.exit_code import Ending

    return Ending()


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_a_server_that_stops_listening_early_says_so_once(factor: float) -> None:
    """The first listener that closes is what clients meet."""

    async def main() -> None:
        play = await Play().open()
        play.signal()
        await asyncio.sleep(5)
        drain = play.life.drain
        assert drain is not None
        drain.stopped_listening(settle_factor=factor, late=3)
        await asyncio.sleep(0.5)
        drain.stopped_listening(late=9)
        await play.end()
        found = of_tune(play.report)
        assert (found["listened"], found["after_closing"]) == (soon(5), 3)
        assert found.get("settle_factor", 1.0) == factor

    run(main())

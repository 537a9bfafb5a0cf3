"""The clients of one process: who keeps a connection, and what they hear of the endpoints."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Self

import pytest

from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.rehearsal.load.generator import LoadGenerator
from lifecycle.rehearsal.load.load import FarPod, Load
from lifecycle.rehearsal.plan import Protocol, Traffic
from lifecycle.testing import Service
from tests.rehearsal.kit import OK, run, seen, serving
from tests.testing.test_service import Clock, Standing


async def fine(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)


def tell(load: Load, port: int, **changes: bool) -> None:
    conditions = {"ready": True, "finished": False, "deleted": False, **changes}
    load.tell("1", "app-1", "127.0.0.1", port, **conditions)


def test_requests_on_new_connections_are_an_open_loop():
    """They come when they are due, though no answer comes; the clients of kept ones wait."""

    async def main() -> None:
        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with serving(hang) as port:
            load = Load(Traffic(rate=200, clients=10, timeout=0.6, propagation=0))
            tell(load, port)
            load.begin()
            await asyncio.sleep(0.5)
            assert load.tally.requests > 60
            await load.end()
            kept = load._traffic.keepers
            assert seen(load.tally) == [("timeout", False)] * load.tally.requests
            assert load.tally.lateness.count == pytest.approx(
                load.tally.requests - 2 * kept, abs=kept
            )

    run(main())


def test_kept_connections_are_asked_once_more_at_the_end():
    """Who is idle when the load ends finds out whether its connection still stands."""

    async def main() -> None:
        async with serving(fine) as port:
            load = Load(Traffic(clients=4, kept=1.0, busy=0.0, think=60.0, propagation=0))
            tell(load, port)
            load.begin()
            await asyncio.sleep(0.2)
            await load.end()
            tally = load.tally
            by_kind = Counter(kept for (_, _, kept), n in tally.answers.items() for _ in range(n))
            assert (by_kind, seen(tally)) == ({False: 4, True: 4}, [])

    run(main())


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("kinds", [1, 2, 3])
def test_every_protocol_has_its_share_of_kept_connections(kept: float, kinds: int):
    """So many clients keep theirs as were asked for, dealt evenly to the protocols."""

    async def main() -> None:
        protocols = tuple(Protocol)[:kinds]
        load = Load(Traffic(clients=30, kept=kept, protocols=protocols))
        keepers, visitors = load._shares()
        assert (len(keepers), len(visitors)) == (round(30 * kept), 30 - round(30 * kept))
        shares = Counter(each._protocol for each in keepers)
        assert max(shares.values(), default=0) - min(shares.values(), default=0) <= 1

    run(main())


def test_who_knows_of_an_endpoint_is_counted():
    """All at once hear of nothing: the count falls from all to none within the propagation."""

    async def main() -> None:
        load = Load(Traffic(clients=50, propagation=0.5))
        tell(load, 1)
        await asyncio.sleep(0.15)
        load.count_known()
        tell(load, 1, deleted=True, ready=False)
        for _ in range(8):
            await asyncio.sleep(0.1)
            load.count_known()
        counts = [count for _, count in sorted(load.tally.known.items())]
        assert counts[0] == 50
        assert counts == sorted(counts, reverse=True)
        assert any(0 < count < 50 for count in counts)
        assert not any(each.view.endpoints() for each in load._clients)

    run(main())


def test_a_pod_that_is_added_before_it_is_ready_joins_as_fast():
    """That an endpoint is not ready yet is no removal: what follows it is not held up."""
    clock = Clock()
    service = Service((1.0, 2.0), seed=1, clock=clock)
    clients = [service.client() for _ in range(50)]
    pod = Standing("app-1")
    pod.ready = False
    service.add(pod, 80)
    pod.become(ready=True)
    clock.now = 0.2
    assert all(client.endpoints() for client in clients)


NO_PORT = 99_999
"""No client can be made to connect to it: what it raises is no loss, but a failure of the load."""


async def until_failed(load: LoadGenerator) -> None:
    while True:
        load.check()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("kept", [0.0, 1.0])
def test_a_load_that_fails_has_no_result(kept: float, capfd: pytest.CaptureFixture[str]):
    """A client that raises ends its process, while it goes on and at the end: nothing is counted."""

    async def main() -> None:
        async with LoadGenerator(Traffic(kept=kept, clients=4, propagation=0, processes=1)) as load:
            load.follow(FarPod("1", "app-1", "127.0.0.1", NO_PORT, ready=True))
            load.begin()
            with pytest.raises(CannotRehearse, match="the load generator failed"):
                await until_failed(load)
            with pytest.raises(CannotRehearse, match="the load generator failed"):
                await load.end()

    run(main())
    assert "OverflowError" in capfd.readouterr().err


def test_a_load_that_ends_before_its_first_request_is_due():
    """A low rate does not hold up the end; without any request there is no result."""

    async def main() -> None:
        traffic = Traffic(rate=0.001, kept=0.0, clients=1, propagation=0, processes=1)
        async with LoadGenerator(traffic) as load:
            load.begin()
            with pytest.raises(CannotRehearse, match="no request was sent"):
                await load.end()

    run(main())


class Miscounting(LoadGenerator):
    """Has no process, and one request more than answers and losses."""

    async def __aenter__(self) -> Self:
        self.tally.requests = 1
        return self


def test_a_request_that_was_neither_answered_nor_lost():
    """A load generator that has lost count has no result."""

    async def main() -> None:
        async with Miscounting(Traffic()) as load:
            with pytest.raises(CannotRehearse, match="of 1 requests 0 were answered and 0 lost"):
                await load.end()

    run(main())

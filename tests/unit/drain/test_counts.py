"""The totals of a process: what has come, and which connections were told to close."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import lifecycle
from lifecycle.asgi import Middleware
from lifecycle.drain.counts import Count, Totals
from lifecycle.drain.elsewhere import Nowhere
from lifecycle.drain.in_flight import Traffic
from lifecycle.runtime import core_of

CONFIG = lifecycle.Config(qos_enabled=False, settle=0, quiet=0)
THREADS, EACH = 8, 20_000


def test_a_count_misses_nothing_from_many_threads() -> None:
    """Eight threads add at the same time. The sum is right, and no number came twice."""
    count, seen = Count(), []

    def add() -> None:
        seen.append({count.next() for _ in range(EACH)})

    threads = [threading.Thread(target=add) for _ in range(THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)

    assert count.value == THREADS * EACH
    assert len(set.union(*seen)) == THREADS * EACH


class Elsewhere(Nowhere):
    """Workers that have counted something."""

    def totals(self) -> Totals:
        """Return it."""
        return Totals(100, 10)


def test_totals_are_those_of_all_processes() -> None:
    """What this process has counted, and what its workers have."""
    traffic = Traffic(lambda: 0.0)
    assert traffic.totals == Totals(0, 0)
    traffic.elsewhere = Elsewhere()
    with traffic.track() as work:
        work.told_to_go()
    with traffic.track("curl/8", "/orders", "GET"):
        pass
    assert traffic.totals == Totals(102, 11)


@pytest.mark.parametrize("draining", [False, True])
def test_tracked_work_counts_once(draining: bool) -> None:
    """Before the drain and in it, with a name and without."""

    async def main() -> None:
        async with lifecycle.Lifecycle(CONFIG) as life:
            await life.ready()
            if draining:
                life.begin_drain("the test")
                await life.reached(lifecycle.State.DRAINING)
            for name in ((), ("curl/8", "/orders", "GET")):
                with life.track(*name):
                    pass
            snapshot = life.snapshot()
            assert (snapshot["requests"], snapshot["told_to_go"]) == (2, 0)

    asyncio.run(main())


def scope(kind: str = "http", version: str = "1.1") -> dict[str, Any]:
    """Return the scope of a request."""
    return {
        "type": kind,
        "http_version": version,
        "method": "GET",
        "path": "/orders",
        "headers": [],
    }


async def nothing() -> dict[str, Any]:
    """Receive nothing."""
    return {"type": "http.request"}


def test_the_middleware_counts_requests_and_connections_that_are_told_to_close() -> None:
    """In a drain each HTTP/1 response closes its connection; over HTTP/2 that is the server's."""
    sent: list[Any] = []

    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def send(message: Any) -> None:
        sent.append(message)

    async def main() -> None:
        async with lifecycle.Lifecycle(CONFIG) as life:
            wrapped = Middleware(app, life)
            await life.ready()
            traffic = core_of(life).traffic
            for _ in range(3):
                await wrapped(scope(), nothing, send)
            assert traffic.totals == Totals(3, 0)
            life.begin_drain("the test")
            await life.reached(lifecycle.State.DRAINING)
            await wrapped(scope(), nothing, send)
            await wrapped(scope(version="2"), nothing, send)
            assert traffic.totals == Totals(5, 1)

    asyncio.run(main())
    closed = [(b"connection", b"close") in each.get("headers", ()) for each in sent]
    assert closed.count(True) == 1


def test_a_websocket_that_is_closed_with_1001_is_told_to_go() -> None:
    """Its connection counts once the drain has closed it."""
    closed: list[Any] = []

    async def main() -> None:
        over = asyncio.Event()

        async def app(_: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            while (await receive())["type"] != "websocket.disconnect":
                continue

        messages = [{"type": "websocket.connect"}]

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await over.wait()
            return {"type": "websocket.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "websocket.close":
                closed.append(message["code"])
                over.set()

        async with lifecycle.Lifecycle(CONFIG) as life:
            wrapped = Middleware(app, life)
            await life.ready()
            socket = asyncio.create_task(wrapped(scope("websocket"), receive, send))
            life.begin_drain("the test")
            async with asyncio.timeout(10):
                await socket
            assert core_of(life).traffic.totals == Totals(1, 1)

    asyncio.run(main())
    assert closed == [1001]

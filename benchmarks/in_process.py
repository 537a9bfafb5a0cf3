"""The cost of counting, on one loop: the middleware, `track()`, and a page of `/inflight`."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from http.client import HTTPConnection
from statistics import median
from typing import Any, NamedTuple

import lifecycle
from lifecycle.asgi import Middleware

CALLS = 100_000
IN_FLIGHT = 10_000
ASKED = 20
QUERIES = ("", "?limit=1000", "?stacks", "?limit=1000&stacks")
ROUNDS = 7


async def _app(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


async def _send(_message: Any) -> None:
    return


async def _receive() -> Any:
    return {"type": "http.request"}


_SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "method": "GET",
    "path": "/",
    "headers": [
        (b"host", b"shop.example"),
        (b"user-agent", b"python-httpx/0.28.1"),
        (b"accept", b"*/*"),
        (b"accept-encoding", b"gzip, deflate"),
        (b"connection", b"keep-alive"),
    ],
}


async def _one_round(app: Callable[..., Awaitable[None]]) -> float:
    began = time.perf_counter()
    for _ in range(CALLS):
        await app(_SCOPE, _receive, _send)
    return (time.perf_counter() - began) / CALLS * 1e6


async def _costs() -> tuple[float, float]:
    async with lifecycle.Lifecycle(lifecycle.Config(qos_port=0)) as life:
        wrapped = Middleware(_app, life)
        pairs = [(await _one_round(_app), await _one_round(wrapped)) for _ in range(ROUNDS)]
        middleware = median(with_ - without for without, with_ in pairs)
        return middleware, median(_track_round(life) for _ in range(ROUNDS))


def _track_round(life: lifecycle.Lifecycle) -> float:
    began = time.perf_counter()
    for _ in range(CALLS):
        with life.track():
            pass
    with_ = time.perf_counter() - began
    began = time.perf_counter()
    for _ in range(CALLS):
        pass
    return (with_ - (time.perf_counter() - began)) / CALLS * 1e6


class Page(NamedTuple):
    """What a page of `/inflight` takes: milliseconds, and bytes an entry."""

    milliseconds: float
    size: float


async def _pages() -> list[tuple[str, Page]]:
    over = asyncio.Event()

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        await over.wait()

    async with lifecycle.Lifecycle(lifecycle.Config(qos_port=0, settle=0, quiet=0)) as life:
        wrapped = Middleware(app, life)
        scopes = [_SCOPE | {"path": f"/orders/{number}"} for number in range(IN_FLIGHT)]
        asking = [asyncio.ensure_future(wrapped(each, _receive, _send)) for each in scopes]
        await asyncio.sleep(0)
        port = int(life.qos_url.rpartition(":")[2])
        found = [(each, await asyncio.to_thread(_page, port, each)) for each in QUERIES]
        over.set()
        await asyncio.gather(*asking)
        return found


def _page(port: int, query: str) -> Page:
    times, size = [], 0.0
    for _ in range(ASKED):
        began = time.perf_counter()
        with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            connection.request("GET", f"/inflight{query}")
            body = connection.getresponse().read()
        times.append((time.perf_counter() - began) * 1000)
        size = len(body) / json.loads(body)["shown"]
    return Page(median(times), size)


def pages() -> list[tuple[str, Page]]:
    """Return what each page of `/inflight` takes while `IN_FLIGHT` requests are in flight."""
    os.environ.setdefault("LIFECYCLE_RUN_DIR", "/tmp")
    return asyncio.run(_pages())


def costs() -> tuple[float, float]:
    """Return microseconds a request of the middleware, and of `track()`."""
    os.environ.setdefault("LIFECYCLE_RUN_DIR", "/tmp")
    return asyncio.run(_costs())

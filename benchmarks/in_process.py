"""The cost of counting: the middleware and `track()`, in one process, on one loop."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

import lifecycle
from lifecycle.asgi import Middleware

CALLS = 100_000
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


def costs() -> tuple[float, float]:
    """Return microseconds a request of the middleware, and of `track()`."""
    os.environ.setdefault("LIFECYCLE_RUN_DIR", "/tmp")
    return asyncio.run(_costs())

"""The same service in Starlette; it knows nothing of a lifecycle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route


async def _pieces() -> AsyncIterator[bytes]:
    for _ in range(10):
        yield b"x" * 100
        await asyncio.sleep(0.1)


async def answer(request: Request) -> Response:
    path = request.url.path
    await asyncio.sleep(2.0 if path == "/slow" else 0.05)
    if path == "/stream":
        return StreamingResponse(_pieces())
    return PlainTextResponse(await request.body() or b"hello")


PATHS = ("/", "/slow", "/stream", "/echo", "/health")
app = Starlette(routes=[Route(path, answer, methods=["GET", "POST"]) for path in PATHS])

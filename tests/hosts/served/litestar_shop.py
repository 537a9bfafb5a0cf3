"""The same service in Litestar; it knows nothing of a lifecycle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from litestar import Litestar, MediaType, Request, get, post
from litestar.response import Stream


async def _pieces() -> AsyncIterator[bytes]:
    for _ in range(10):
        yield b"x" * 100
        await asyncio.sleep(0.1)


@get(["/", "/health"], media_type=MediaType.TEXT)
async def hello() -> str:
    await asyncio.sleep(0.05)
    return "hello"


@get("/slow", media_type=MediaType.TEXT)
async def slow() -> str:
    await asyncio.sleep(2.0)
    return "hello"


@get("/stream")
async def stream() -> Stream:
    return Stream(_pieces())


@post("/echo", status_code=200, media_type=MediaType.TEXT)
async def echo(request: Request) -> bytes:
    return await request.body()


app = Litestar([hello, slow, stream, echo])

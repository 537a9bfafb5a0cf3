"""The same service in FastAPI; it knows nothing of a lifecycle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse

app = FastAPI()


async def _pieces() -> AsyncIterator[bytes]:
    for _ in range(10):
        yield b"x" * 100
        await asyncio.sleep(0.1)


@app.get("/slow")
async def slow() -> PlainTextResponse:
    await asyncio.sleep(2.0)
    return PlainTextResponse("hello")


@app.get("/stream")
async def stream() -> StreamingResponse:
    return StreamingResponse(_pieces())


@app.post("/echo")
async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(await request.body())


@app.get("/")
@app.get("/health")
def hello() -> PlainTextResponse:
    time.sleep(0.05)
    return PlainTextResponse("hello")

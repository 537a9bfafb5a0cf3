"""
A FastAPI app without changes. Run it from this folder:

    lifecycle run --asgi fastapi_app:app --bind 0.0.0.0:8080 --service orders

If uvicorn's own command must start the app, add one line under `app = FastAPI()`:
`app.add_middleware(Managed, service="orders", port=8080)`, from `lifecycle.asgi`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse

app = FastAPI()


@app.get("/", response_class=PlainTextResponse)
async def orders() -> str:
    return "ok\n"


@app.get("/events")
async def events() -> StreamingResponse:
    """For an EventSource: ended when settle is over, and it connects again elsewhere."""

    async def ticks() -> AsyncIterator[str]:
        number = 0
        while True:
            number += 1
            yield f"id: {number}\ndata: tick\n\n"
            await asyncio.sleep(1)

    return StreamingResponse(ticks(), media_type="text/event-stream")


@app.websocket("/talk")
async def talk(socket: WebSocket) -> None:
    """Closed with 1001 when settle is over."""
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)

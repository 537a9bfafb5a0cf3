"""The app that is served in every way: 10 ms of waiting, two seconds under /slow."""

from __future__ import annotations

import asyncio
from typing import Any

BODY = b"hello"
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"5")],
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer."""
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    await asyncio.sleep(2.0 if scope["path"] == "/slow" else 0.01)
    await send(START)
    await send({"type": "http.response.body", "body": BODY})

"""An ASGI app whose every answer takes 12 seconds."""

from __future__ import annotations

import asyncio
from typing import Any


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    else:
        print('{"event": "asked"}', flush=True)
        await asyncio.sleep(12)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"ok\n"})

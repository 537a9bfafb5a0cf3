"""An ASGI app that has the trouble its variables name: a slow start, a failing probe, no end."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import lifecycle

time.sleep(float(os.environ.get("START", "0")))


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    path = scope["path"]
    if path == "/block":
        time.sleep(600)  # blocks the event loop
    if path == "/export":
        await asyncio.sleep(45)
    hoard = [b"x" * 1024 * 1024 * n for n in range(1000)] if path == "/eat" else []
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{len(hoard)}".encode()})


async def lifespan(receive: Any, send: Any) -> None:
    await receive()
    if reason := os.environ.get("FAILING"):

        @lifecycle.current().readiness
        def postgres() -> lifecycle.ProbeResult:
            return lifecycle.ProbeResult(ok=False, reason=reason)

    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})

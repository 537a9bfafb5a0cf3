"""The service that the demo rolls: a plain ASGI app that knows nothing of any lifecycle."""

from __future__ import annotations

import asyncio

WARM_UP = 1.0
FAST = 0.05
SLOW = 1.5


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    if scope["path"] != "/ready":
        await asyncio.sleep(SLOW if scope["query_string"] == b"slow" else FAST)
    body = b"thank you\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive, send):
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await asyncio.sleep(WARM_UP)  # pools, caches, models
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return

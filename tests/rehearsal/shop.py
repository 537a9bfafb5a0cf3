"""An ASGI app that knows nothing of any lifecycle; /slow takes a second, /upload a body."""

from __future__ import annotations

import asyncio


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            continue
        return
    if scope["path"] == "/upload":
        while (await receive()).get("more_body"):
            continue
    if scope["path"] == "/slow":
        await asyncio.sleep(1.0)
    status = 500 if scope["path"] == "/broken" else 200
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})

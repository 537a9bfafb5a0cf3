"""The app under fire: each path is one way in which apps treat what they are sent."""

from __future__ import annotations

import asyncio
from typing import Any

THINKS = 0.05


class Boom(Exception):
    """What `/raise` raises: the only traceback that may be seen."""


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Serve."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    kind = scope["path"].rpartition("/")[2]
    if scope["type"] == "websocket":
        await _converse(kind, receive, send)
    else:
        await _answer(kind, receive, send)


async def _answer(kind: str, receive: Any, send: Any) -> None:
    body = b"ok"
    match kind:
        case "return":
            return
        case "raise":
            raise Boom
        case "think":
            await asyncio.sleep(THINKS)
        case "read":
            while (message := await receive()).get("more_body"):
                body += message["body"][:4]
        case "big":
            body = b"x" * 100_000
        case "gone":
            while (await receive())["type"] != "http.disconnect":
                pass
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if kind == "broken":
        raise Boom
    await send({"type": "http.response.body", "body": body[:1], "more_body": True})
    await send({"type": "http.response.body", "body": body[1:]})


async def _converse(kind: str, receive: Any, send: Any) -> None:
    if kind == "return":
        return
    if kind == "refuse":
        await send({"type": "websocket.close"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    if kind == "raise":
        raise Boom
    if kind == "think":
        await asyncio.sleep(THINKS)
    if kind in ("close", "think"):
        await send({"type": "websocket.close", "code": 1000})
        return
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message.get("text") or "ok"})

"""A service as plain ASGI: what every host here serves."""

from __future__ import annotations

import asyncio
import json

FAST = 0.05
"""Seconds: so that who asks again at once does not ask more often than a machine can bear."""
SLOW = 2.0
PIECES = {"/stream": 10, "/download": 25, "/import": 25}
EVENTS = b"Text/Event-Stream; charset=utf-8"


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "websocket":
        await _websocket(receive, send)
    else:
        await _http(scope, receive, send)


async def _lifespan(receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _websocket(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def _http(scope, receive, send):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    path = scope["path"]
    if path in ("/", "/slow"):
        await asyncio.sleep(SLOW if path == "/slow" else FAST)
    if path in ("/stream", "/download", "/events", "/import"):
        await _stream(path, send)
        return
    body = body or b"hello"
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(path, send):
    kind = EVENTS if path in ("/events", "/import") else b"text/plain"
    headers = [(b"content-type", kind)]
    if path == "/import":
        headers.append((b"x-lifecycle-stream", b"finite"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    number = 0
    while path == "/events" or number < PIECES[path]:
        piece = f"data: {json.dumps(number)}\n\n".encode() if path == "/events" else b"x" * 100
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0.1)
        number += 1
    await send({"type": "http.response.body", "body": b""})

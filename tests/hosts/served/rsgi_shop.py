"""The same service by RSGI, granian's own interface."""

from __future__ import annotations

import asyncio
import json

from shop import EVENTS, FAST, PIECES, SLOW

CLOSED = 0
"""The kind of a WebSocket's message that is its end."""


async def app(scope, proto):
    if scope.proto == "ws":
        await _websocket(await proto.accept())
        return
    body = await proto()
    if scope.path in ("/", "/slow"):
        await asyncio.sleep(SLOW if scope.path == "/slow" else FAST)
    if scope.path in PIECES or scope.path == "/events":
        await _stream(scope.path, proto)
        return
    body = body or b"hello"
    proto.response_bytes(200, [("content-type", "text/plain")], body)


async def _websocket(transport):
    while (message := await transport.receive()).kind != CLOSED:
        await transport.send_str(message.data)


async def _stream(path, proto):
    kind = EVENTS.decode() if path in ("/events", "/import") else "text/plain"
    headers = [("content-type", kind)]
    if path == "/import":
        headers.append(("x-lifecycle-stream", "finite"))
    transport = proto.response_stream(status=200, headers=headers)
    number = 0
    while path == "/events" or number < PIECES[path]:
        piece = f"data: {json.dumps(number)}\n\n".encode() if path == "/events" else b"x" * 100
        await transport.send_bytes(piece)
        await asyncio.sleep(0.1)
        number += 1

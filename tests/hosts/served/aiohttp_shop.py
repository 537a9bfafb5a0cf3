"""The same service in aiohttp, under `run_app` or gunicorn: it knows nothing of a lifecycle."""

from __future__ import annotations

import asyncio
import os

from aiohttp import WSMsgType, web
from shop import EVENTS, FAST, PIECES, SLOW


async def answer(request):
    body = await request.read()
    path = request.path
    await asyncio.sleep(SLOW if path == "/slow" else FAST)
    if path == "/events":
        return await events(request)
    if path in PIECES:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(PIECES[path]):
            await response.write(b"x" * 100)
            await asyncio.sleep(0.1)
        return response
    return web.Response(body=body or b"hello")


async def events(request):
    response = web.StreamResponse(headers={"Content-Type": EVENTS.decode()})
    await response.prepare(request)
    number = 0
    while True:
        await response.write(b"data: %d\n\n" % number)
        await asyncio.sleep(float(request.query.get("every", 0.1)))
        number += 1


async def converse(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.TEXT:
            await socket.send_str(message.data)
    return socket


app = web.Application()
app.router.add_get("/ws", converse)
app.router.add_route("*", "/{tail:.*}", answer)

if __name__ == "__main__":
    port = int(os.environ["PORT"])
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)

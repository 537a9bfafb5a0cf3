"""The same service in Sanic: it knows nothing of a lifecycle."""

from __future__ import annotations

import asyncio

from sanic import Sanic
from sanic.response import raw
from shop import EVENTS, FAST, PIECES, SLOW

app = Sanic("shop")
app.config.KEEP_ALIVE_TIMEOUT = 75


@app.websocket("/ws")
async def converse(request, socket):
    async for message in socket:
        await socket.send(message)


@app.get("/events")
async def events(request):
    response = await request.respond(content_type=EVENTS.decode())
    number = 0
    while True:
        await response.send(f"data: {number}\n\n")
        await asyncio.sleep(float(request.args.get("every", 0.1)))
        number += 1


@app.route("/<path:path>", methods=["GET", "POST"])
async def answer(request, path):
    await asyncio.sleep(SLOW if path == "slow" else FAST)
    if request.path not in PIECES:
        return raw(request.body or b"hello")
    response = await request.respond(content_type="text/plain")
    for _ in range(PIECES[request.path]):
        await response.send("x" * 100)
        await asyncio.sleep(0.1)
    return None


@app.route("/", methods=["GET", "POST"])
async def root(request):
    return await answer(request, "")

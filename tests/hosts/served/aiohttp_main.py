"""The same service in aiohttp: with the handle, and in a main that knows nothing of us."""

from __future__ import annotations

import asyncio
import os

import lifecycle_aiohttp
from aiohttp import web

import lifecycle

PORT = int(os.environ["PORT"])


async def answer(request: web.Request) -> web.StreamResponse:
    body = await request.read()
    await asyncio.sleep(2 if request.path == "/slow" else 0.05)
    if request.path == "/stream":
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(10):
            await response.write(b"x" * 100)
            await asyncio.sleep(0.1)
        return response
    return web.Response(body=body or b"hello")


def shop(set_up=lifecycle_aiohttp.setup) -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    set_up(app)
    return app


async def with_handle(life: lifecycle.Lifecycle) -> None:
    runner = web.AppRunner(shop(), handle_signals=False, access_log=None, keepalive_timeout=75)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", PORT).start()
    life.export("shop", port=PORT)
    await life.ready()
    await life.drained()
    await runner.cleanup()


async def run_app() -> None:
    await web._run_app(shop(), host="127.0.0.1", port=PORT, print=None, access_log=None)


async def alone() -> None:
    """It knows nothing of a lifecycle."""
    await web._run_app(
        shop(lambda _: None), host="127.0.0.1", port=PORT, print=None, access_log=None
    )

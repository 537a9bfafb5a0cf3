"""
An aiohttp app. aiohttp is no ASGI server, so a middleware of its own counts the requests
and says `Connection: close` while draining: `python examples/aiohttp_app.py`.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from aiohttp import web

import lifecycle

PORT = int(os.environ.get("PORT", "8080"))


@web.middleware
async def counted(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    life = lifecycle.current()
    with life.track():
        response = await handler(request)
        if life.draining:
            response.force_close()
        return response


async def orders(request: web.Request) -> web.Response:  # noqa: ARG001 - aiohttp's signature
    return web.Response(text="ok\n")


async def main(life: lifecycle.Lifecycle) -> None:
    app = web.Application(middlewares=[counted])
    app.router.add_get("/", orders)
    runner = web.AppRunner(app, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", PORT).start()
    life.export("orders", port=PORT)
    await life.ready()
    await life.drained()
    await runner.cleanup()


if __name__ == "__main__":
    lifecycle.run(main)

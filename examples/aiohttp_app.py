"""
An aiohttp app with the plugin: `python examples/aiohttp_app.py`, with
`pip install lifecycle-aiohttp`.

The line with `setup` counts requests and sends `Connection: close` during a drain. It also closes
idle connections when the settle time (`settle`) is over.
"""

from __future__ import annotations

import os

import lifecycle_aiohttp
from aiohttp import web

import lifecycle

PORT = int(os.environ.get("PORT", "8080"))


async def orders(request: web.Request) -> web.Response:  # noqa: ARG001 - aiohttp's signature
    return web.Response(text="ok\n")


async def main(life: lifecycle.Lifecycle) -> None:
    app = web.Application()
    app.router.add_get("/", orders)
    lifecycle_aiohttp.setup(app, life)

    runner = web.AppRunner(app, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", PORT).start()
    life.export("orders", port=PORT)
    await life.ready()
    await life.drained()
    await runner.cleanup()


if __name__ == "__main__":
    lifecycle.run(main)

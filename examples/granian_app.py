"""
granian inside a main, where SIGTERM also starts the drain: `python examples/granian_app.py`,
with `pip install granian`.

If granian's own command must start the app, see managed.py.
"""

from __future__ import annotations

import asyncio
import os

from granian.constants import Interfaces
from granian.server.embed import Server

import lifecycle
from lifecycle.asgi import Middleware

PORT = int(os.environ.get("PORT", "8080"))


async def app(scope, receive, send):  # noqa: ARG001 - ASGI's signature
    if scope["type"] != "http":
        raise NotImplementedError("this app has no lifespan and no WebSockets")
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"3")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok\n"})


async def main() -> None:
    server = Server(Middleware(app), address="0.0.0.0", port=PORT, interface=Interfaces.ASGINL)
    serving = asyncio.create_task(server.serve())
    try:
        await asyncio.shield(serving)
    finally:  # cancelled when the drain is over
        server.stop()
        await serving


if __name__ == "__main__":
    # granian does not report when it listens, so wait until its port is open.
    lifecycle.run(main, config=lifecycle.Config(services=(f"orders:{PORT}",)))

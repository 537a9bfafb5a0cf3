"""
uvicorn inside a main: `python examples/uvicorn_app.py`, with `pip install uvicorn`.

`Middleware` counts the requests in flight, and sends `Connection: close` during a drain.
pod-lifecycle keeps uvicorn's own signal handler, and calls it once when the drain is over.
"""

from __future__ import annotations

import os

import uvicorn

import lifecycle
from lifecycle.asgi import Middleware

PORT = int(os.environ.get("PORT", "8080"))


async def app(scope, receive, send):  # noqa: ARG001 - ASGI's signature
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"3")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok\n"})


async def main() -> None:
    config = uvicorn.Config(
        Middleware(app), host="0.0.0.0", port=PORT, lifespan="off", timeout_keep_alive=75
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    lifecycle.run(main, config=lifecycle.Config(services=(f"orders:{PORT}",)))

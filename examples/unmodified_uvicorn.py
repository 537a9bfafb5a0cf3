"""
An unmodified main with uvicorn inside, which knows nothing of us: it has no argument, and
its service is named from outside. `python examples/unmodified_uvicorn.py`, or

    LIFECYCLE_SERVICES=orders:8080 lifecycle run --app-dir examples unmodified_uvicorn:main

uvicorn's own signal handler is kept, and called once the drain is over: requests on new
connections are all answered. Nobody tells the kept ones to close, so that a request may meet
their end; uvicorn_app.py, which serves `Middleware(app)`, does.
"""

from __future__ import annotations

import os

import uvicorn

import lifecycle

PORT = int(os.environ.get("PORT", "8080"))


async def app(scope, receive, send):  # noqa: ARG001 - ASGI's signature
    body = b"ok\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def main() -> None:
    config = uvicorn.Config(app, host="0.0.0.0", port=PORT, lifespan="off")
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    lifecycle.run(main, config=lifecycle.Config(services=(f"orders:{PORT}",)))

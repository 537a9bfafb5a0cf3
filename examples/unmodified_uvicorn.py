"""
A main without changes that runs uvicorn. The main takes no argument, and a variable or a setting
names its service. Run `python examples/unmodified_uvicorn.py`, or

    LIFECYCLE_SERVICES=orders:8080 lifecycle run --app-dir examples unmodified_uvicorn:main

pod-lifecycle keeps uvicorn's own signal handler, and calls it once when the drain is over. So all
requests on new connections are answered. Clients on keep-alive connections get no
`Connection: close`, so a request that is on its way when uvicorn closes them is lost.
uvicorn_app.py serves `Middleware(app)`, which sends `Connection: close`.
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

"""The services that are rolled: one ASGI app, and the ways to put it under a lifecycle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tests.process.kit import App
from tests.process.rollout import pick_port

SETTLE: Final = 2.5
QUIET: Final = 0.5

SHOP: Final = """
import asyncio


async def app(scope, receive, send):
    assert scope["type"] == "http"
    body = b""
    while (message := await receive()).get("more_body") or message.get("body"):
        body += message["body"]
        if not message["more_body"]:
            break
    path = scope["path"]
    if path == "/slow":
        await asyncio.sleep(1)
    if path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(10):
            await send({"type": "http.response.body", "body": b"x" * 100, "more_body": True})
            await asyncio.sleep(0.1)
        await send({"type": "http.response.body", "body": b""})
        return
    body = body or b"hello"
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""

LOGGED: Final = """
import logging

logging.basicConfig()
logging.getLogger("lifecycle").setLevel("INFO")
"""

UVICORN: Final = (
    LOGGED
    + """
import asyncio, os, uvicorn, lifecycle
from lifecycle.asgi import Middleware
from shop import app


async def main():
    config = uvicorn.Config(
        WRAPPED, host="127.0.0.1", port=int(os.environ["PORT"]), lifespan="off",
        access_log=False, log_level="warning", timeout_keep_alive=75,
    )
    await uvicorn.Server(config).serve()


lifecycle.run(main)
"""
)

HYPERCORN: Final = (
    LOGGED
    + """
import os, lifecycle
from hypercorn.asyncio import serve
from hypercorn.config import Config
from shop import app


async def main():
    config = Config()
    config.bind = [f"127.0.0.1:{os.environ['PORT']}"]
    config.keep_alive_timeout = 75
    config.errorlog = None
    await serve(app, config)


lifecycle.run(main)
"""
)

AIOHTTP: Final = (
    LOGGED
    + """
import asyncio, os, lifecycle
from aiohttp import web


async def answer(request):
    body = await request.read()
    if request.path == "/slow":
        await asyncio.sleep(1)
    if request.path == "/stream":
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(10):
            await response.write(b"x" * 100)
            await asyncio.sleep(0.1)
        return response
    return web.Response(body=body or b"hello")


async def main():
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, handle_signals=True, access_log=None, keepalive_timeout=75)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", int(os.environ["PORT"])).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


lifecycle.run(main)
"""
)

Start = Callable[..., App]
Starter = Callable[[int], App]


def settings(port: int, **more: Any) -> dict[str, str]:
    """Return the environment of a replica."""
    values = {"settle": SETTLE, "quiet": QUIET, **more}
    return {
        "PORT": str(port),
        "LIFECYCLE_QOS_PORT": str(pick_port()),
        **{f"LIFECYCLE_{name.upper()}": str(value) for name, value in values.items()},
    }


def write(folder: Path, sources: Mapping[str, str]) -> None:
    """Write modules into a folder."""
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)


def run_asgi(start: Start, target: str = "shop:app", *words: str, **more: Any) -> Starter:
    """Return what starts `lifecycle run --asgi`."""

    def starter(port: int) -> App:
        bind = ["--bind", f"127.0.0.1:{port}", "--service", "shop"]
        argv = ["-m", "lifecycle", "run", "--asgi", target, *bind, *words]
        return start(argv, env=settings(port, **more))

    return starter


def run_main(start: Start, source: str, **more: Any) -> Starter:
    """Return what starts a script with an unmodified main."""

    def starter(port: int) -> App:
        return start(source, env=settings(port, services=f"shop:{port}", **more))

    return starter


def uvicorn_wearing(wrapped: str) -> str:
    """Return a main with uvicorn inside that serves `app`, or `Middleware(app)`."""
    return UVICORN.replace("WRAPPED", wrapped)

"""Mains with a server inside."""

from __future__ import annotations

import asyncio
import os

import lifecycle
from lifecycle.asgi import Middleware

PORT = int(os.environ["PORT"])
BODY = b"hello"


async def uvicorn_inside() -> None:
    await uvicorn_alone(Middleware)


async def uvicorn_alone(wear=lambda app: app) -> None:
    """It knows nothing of a lifecycle."""
    import uvicorn
    from shop import app

    config = uvicorn.Config(
        wear(app), port=PORT, access_log=False, log_level="warning", timeout_keep_alive=75
    )
    await uvicorn.Server(config).serve()


async def hypercorn_inside() -> None:
    await hypercorn_alone(Middleware)


async def hypercorn_alone(wear=lambda app: app) -> None:
    """It knows nothing of a lifecycle."""
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from shop import app

    config = Config()
    config.bind = [f"127.0.0.1:{PORT}"]
    config.keep_alive_timeout = 75
    config.errorlog = None
    await serve(wear(app), config)


async def granian_inside() -> None:
    from granian.constants import Interfaces
    from granian.server.embed import Server
    from shop import app

    server = Server(Middleware(app), port=PORT, interface=Interfaces.ASGI)
    serving = asyncio.create_task(server.serve())
    try:
        await asyncio.shield(serving)
    finally:
        server.stop()
        await serving


async def streams(life: lifecycle.Lifecycle) -> None:
    """HTTP/1.1 by hand, kept connections and all."""
    connections: set[asyncio.StreamWriter] = set()
    busy: set[asyncio.StreamWriter] = set()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        busy.add(writer)
        try:
            with life.track():
                body = b""
                for line in head.lower().split("\r\n"):
                    if line.startswith("content-length:"):
                        body = await reader.readexactly(int(line.partition(":")[2]))
                await asyncio.sleep(2 if head.startswith("GET /slow") else 0.05)
                close = life.draining or "connection: close" in head.lower()
                body = body or BODY
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(body)
                    + (b"Connection: close\r\n" if close else b"")
                    + b"\r\n"
                    + body
                )
                await writer.drain()
        finally:
            busy.discard(writer)
        return not close

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        try:
            while await serve_one(reader, writer):
                continue
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            connections.discard(writer)
            writer.close()

    class CloseIdle:
        @lifecycle.hookimpl
        async def lifecycle_drain(self, drain: lifecycle.Drain) -> None:
            await drain.settled()
            for writer in connections - busy:
                writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", PORT)
    life.use(CloseIdle)
    life.export("shop", port=PORT)
    await life.ready()
    await life.drained()
    server.close()

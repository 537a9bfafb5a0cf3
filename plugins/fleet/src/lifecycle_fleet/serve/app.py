"""
The ASGI app: its paths, and its life.

Rules of this file:

1. No path changes anything, and no request reaches the API server, except for reviews of tokens.
2. The page has no data in it, so any client may load it. The data needs the right to read.
3. READY comes when every first list is here, so that no reader ever sees half of the pods.
"""

from __future__ import annotations

import asyncio
from typing import Final

import lifecycle
from lifecycle_fleet.cluster.api import Api, connected
from lifecycle_fleet.errors import FleetError
from lifecycle_fleet.serve.answers import (
    Answer,
    Handler,
    Receive,
    Scope,
    Send,
    header,
    is_local,
    refused,
)
from lifecycle_fleet.serve.page.document import page
from lifecycle_fleet.serve.parts import Parts
from lifecycle_fleet.serve.settings import Settings

METHODS: Final = ("GET", "HEAD")
NOT_YET: Final = refused(503, "The server has not started")
NOT_FOUND: Final = refused(404, "There is no such path. The page is at /")
NOT_ALLOWED: Final = refused(405, "This server only answers GET and HEAD", (b"allow", b"GET, HEAD"))
ELSEWHERE: Final = refused(421, "Open the page at localhost, or at an IP address")
MORE: Final = {401: ((b"www-authenticate", b"Bearer"),), 503: ((b"retry-after", b"2"),)}
"""More headers of a refusal, by its status."""


class App:
    """
    The app.

    Args:
        settings: The settings.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._parts: Parts | None = None
        self._open: dict[str, Handler] = {"/": _page, "/healthz": _healthz}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            handler = await self._handler(scope)
            if isinstance(handler, Answer):
                await handler.send(send, head=scope["method"] == "HEAD")
            else:
                await handler(scope, receive, send)

    async def _handler(self, scope: Scope) -> Handler | Answer:
        """Return what answers a request."""
        path, parts = scope["path"], self._parts
        if parts is None:
            return NOT_YET
        if self._settings.local and not is_local(header(scope, b"host")):
            return ELSEWHERE
        guarded = parts.handlers.get(path)
        handler = guarded or self._open.get(path)
        if handler is None:
            return NOT_FOUND
        if scope["method"] not in METHODS:
            return NOT_ALLOWED
        if guarded is not None and parts.access is not None:
            status, text = await parts.access.check(header(scope, b"authorization"))
            if status != 200:
                return refused(status, text, *MORE.get(status, ()))
        return handler

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        problem = ""
        try:
            config = self._settings
            async with connected(config.kubeconfig, config.context) as api:
                await self._serve(api, receive, send)
        except* FleetError as errors:
            problem = _told(errors)
        if problem:
            await send({"type": "lifespan.startup.failed", "message": problem})
        else:
            await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, api: Api, receive: Receive, send: Send) -> None:
        parts = self._parts = Parts(api, self._settings, lifecycle.current().log)
        ready = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(parts.run(ready.set))
            await ready.wait()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            running.cancel()


async def _page(scope: Scope, _receive: Receive, send: Send) -> None:
    answer = page(header(scope, b"if-none-match"))
    await answer.send(send, head=scope["method"] == "HEAD")


async def _healthz(scope: Scope, _receive: Receive, send: Send) -> None:
    await Answer(b"ok\n").send(send, head=scope["method"] == "HEAD")


def _told(errors: BaseException) -> str:
    while isinstance(errors, BaseExceptionGroup):
        errors = errors.exceptions[0]
    see = errors.see if isinstance(errors, FleetError) else ""
    return f"{errors}\nSee {see}" if see else str(errors)

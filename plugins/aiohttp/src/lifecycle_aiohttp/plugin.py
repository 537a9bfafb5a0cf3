"""`setup`: what an aiohttp app does under a lifecycle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Final
from weakref import WeakSet

from aiohttp import WSCloseCode, hdrs, web

import lifecycle
from lifecycle_aiohttp.connections import LOOKS, PAUSE, close_idle
from lifecycle_aiohttp.streams import EventStream, Handler, goes_on, is_event_source


def setup(app: web.Application, life: lifecycle.Lifecycle | None = None) -> None:
    """
    Put an aiohttp app under a lifecycle; before it starts.

    Args:
        app: The outermost app; its sub-apps are counted with it.
        life: The lifecycle; the one that runs when the app starts otherwise. Without one
            (a unit test of the app) nothing is changed.
    """
    conduct = _Conduct(life)
    app.middlewares.insert(0, conduct.count)
    app.on_startup.append(conduct.begin)
    app.on_cleanup.append(conduct.end)
    app.on_response_prepare.append(conduct.tell)


class _Conduct:
    """How an app behaves: counts, tells its clients, ends what is idle."""

    def __init__(self, life: lifecycle.Lifecycle | None) -> None:
        self._given = life
        self._life: lifecycle.Lifecycle | None = None
        self._installed: lifecycle.InstalledPlugin | None = None
        self._settled = False
        self._connections: WeakSet[asyncio.Transport] = WeakSet()
        self._busy: set[asyncio.Transport] = set()
        self._websockets: WeakSet[web.WebSocketResponse] = WeakSet()
        self._streams: set[EventStream] = set()
        self._farewells: set[asyncio.Task[None]] = set()

    async def begin(self, app: web.Application) -> None:
        """Find the lifecycle, and take part in its drain."""
        try:
            self._life = self._given or lifecycle.current()
        except lifecycle.NotRunning:
            return
        self._installed = await self._life.use_async(self, name=f"aiohttp-{id(app):x}")

    async def end(self, _: web.Application) -> None:
        """Take no part any more: the app has ended, and the lifecycle may go on."""
        if self._installed is not None:
            await self._installed.remove_async()

    @web.middleware
    async def count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count a request until its response has left."""
        life = self._life
        if life is None:
            return await handler(request)
        connection = request.transport
        if connection is not None:  # its client may be gone already
            self._connections.add(connection)
            self._busy.add(connection)
        agent = request.headers.get(hdrs.USER_AGENT, "")
        try:
            with life.track(agent, request.path, request.method) as work:
                _sent_away.set(work.sent_away if self._settled else None)
                if is_event_source(request):
                    return await _sent(request, self._stream(request, handler))
                return await _sent(request, handler(request))
        finally:
            if connection is not None:
                self._busy.discard(connection)

    async def _stream(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        stream = EventStream()
        self._streams.add(stream)
        token = _stream.set(stream)
        try:
            return await stream.run(handler, request)
        finally:
            _stream.reset(token)
            self._streams.discard(stream)

    async def tell(self, _: web.BaseRequest, response: web.StreamResponse) -> None:
        """Say on a response that its connection ends with it, if the app is leaving."""
        stream, sent_away = _stream.get(), _sent_away.get()
        events = stream is not None and goes_on(response)
        if sent_away and (events or isinstance(response, web.WebSocketResponse)):
            sent_away()
        if isinstance(response, web.WebSocketResponse):
            self._websockets.add(response)
            if self._settled:
                task = asyncio.get_running_loop().create_task(_close_once_open(response))
                self._farewells.add(task)
                task.add_done_callback(self._farewells.discard)
            return
        if stream is not None:
            stream.begin(response, settled=self._settled)
        if self._life is not None and self._life.draining:
            response.force_close()
            response.headers[hdrs.CONNECTION] = "close"

    @lifecycle.hookimpl
    async def lifecycle_drain(self, drain: lifecycle.Drain) -> None:
        """End what is idle, and what never ends by itself, once consumers have noticed."""
        await drain.settled()
        self._settled = True
        for stream in self._streams:
            stream.end()
        await asyncio.gather(
            close_idle(list(self._connections), self._busy),
            *(_close(each) for each in list(self._websockets)),
        )


_stream: Final[ContextVar[EventStream | None]] = ContextVar("_stream", default=None)
_sent_away: Final[ContextVar[Callable[[], None] | None]] = ContextVar("_sent_away", default=None)
"""How a request that came after settle says that it is ended at once."""


async def _sent(request: web.Request, answer: Awaitable[web.StreamResponse]) -> web.StreamResponse:
    """Send what aiohttp would send after the last middleware: only then it has left."""
    try:
        response = await answer
    except web.HTTPException as response_:
        await _send(request, response_)
        raise
    if isinstance(response, web.StreamResponse):
        await _send(request, response)
    return response


async def _send(request: web.Request, response: web.StreamResponse) -> None:
    with suppress(ConnectionError):  # aiohttp meets it again, and knows what to do
        await response.prepare(request)
        await response.write_eof()


async def _close_once_open(socket: web.WebSocketResponse) -> None:
    for _ in range(LOOKS):
        await asyncio.sleep(PAUSE)
        with suppress(RuntimeError):  # its handshake is still being sent
            await _close(socket)
            return


async def _close(socket: web.WebSocketResponse) -> None:
    if not socket.closed:
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"going away")

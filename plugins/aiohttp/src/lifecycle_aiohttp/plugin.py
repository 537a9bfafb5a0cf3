"""`setup`, which adds pod-lifecycle to an aiohttp app."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from contextvars import ContextVar
from typing import Final, Protocol
from weakref import WeakKeyDictionary, WeakSet

from aiohttp import WSCloseCode, hdrs, web

import lifecycle
from lifecycle_aiohttp.connections import LOOKS, PAUSE, close_idle
from lifecycle_aiohttp.streams import EventStream, Handler, goes_on, is_event_source


def setup(app: web.Application, life: lifecycle.Lifecycle | None = None) -> None:
    """
    Add pod-lifecycle to an aiohttp app. Call this function before the app starts.

    Args:
        app: The outermost app. Requests of its sub-apps are counted too.
        life: The `Lifecycle`. The default is the one that runs when the app starts. If none runs,
            for example in a unit test of the app, nothing changes.
    """
    conduct = _Conduct(life)
    app.middlewares.insert(0, conduct.count)
    app.on_startup.append(conduct.begin)
    app.on_cleanup.append(conduct.end)
    app.on_response_prepare.append(conduct.tell)


class _Conduct:
    """Counts requests, tells clients to close, and ends idle connections."""

    def __init__(self, life: lifecycle.Lifecycle | None) -> None:
        self._given = life
        self._life: lifecycle.Lifecycle | None = None
        self._installed: lifecycle.InstalledPlugin | None = None
        self._connections: WeakSet[asyncio.Transport] = WeakSet()
        self._busy: set[asyncio.Transport] = set()
        self._websockets: WeakKeyDictionary[web.WebSocketResponse, Callable[[], None]] = (
            WeakKeyDictionary()
        )
        """The WebSockets, each with the function that counts its close code 1001."""
        self._streams: set[EventStream] = set()
        self._farewells: set[asyncio.Task[None]] = set()

    async def begin(self, app: web.Application) -> None:
        """Find the `Lifecycle`, and install this plugin in it."""
        try:
            self._life = self._given or lifecycle.current()
        except lifecycle.NotRunning:
            return
        self._installed = await self._life.use_async(self, name=f"aiohttp-{id(app):x}")

    async def end(self, _: web.Application) -> None:
        """Remove this plugin, because the app has ended and the `Lifecycle` may continue."""
        if self._installed is not None:
            await self._installed.remove_async()

    @web.middleware
    async def count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count a request until its response is sent."""
        life = self._life
        if life is None:
            return await handler(request)
        connection = request.transport
        if connection is not None:  # the client may already be gone
            self._connections.add(connection)
            self._busy.add(connection)
        agent = request.headers.get(hdrs.USER_AGENT, "")
        try:
            with _track(life, request, agent) as work:
                if connection is not None:
                    work.came_from(connection.get_extra_info("peername"))
                _sent_away.set(work.sent_away if life.ends_idle_connections else None)
                _told_to_go.set(work.told_to_go)
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
        """Add `Connection: close` to a response while clients are told to go."""
        life, stream, sent_away = self._life, _stream.get(), _sent_away.get()
        settled = life is not None and life.ends_idle_connections
        events = stream is not None and goes_on(response)
        if sent_away and (events or isinstance(response, web.WebSocketResponse)):
            sent_away()
        if isinstance(response, web.WebSocketResponse):
            told = self._websockets[response] = _told_to_go.get()
            if settled:
                task = asyncio.get_running_loop().create_task(_close_once_open(response, told))
                self._farewells.add(task)
                task.add_done_callback(self._farewells.discard)
            return
        if stream is not None:
            stream.begin(response, settled=settled)
        if life is not None and life.sends_clients_away:
            response.force_close()
            response.headers[hdrs.CONNECTION] = "close"
            _told_to_go.get()()

    @lifecycle.hookimpl
    async def lifecycle_offline(self, offline: lifecycle.Offline) -> None:
        """While every app service is offline, do the same as in a drain."""
        await offline.settled()
        await self._end_idle()

    @lifecycle.hookimpl
    async def lifecycle_drain(self, drain: lifecycle.Drain) -> None:
        """After `settle`, end idle connections, WebSockets and endless event streams."""
        await drain.settled()
        await self._end_idle()

    async def _end_idle(self) -> None:
        for stream in self._streams:
            stream.end()
        await asyncio.gather(
            close_idle(list(self._connections), self._busy),
            *(_close(each, told) for each, told in list(self._websockets.items())),
        )


def _track(
    life: lifecycle.Lifecycle, request: web.Request, agent: str
) -> AbstractContextManager[_Work]:
    """Count a request, with the words that `/inflight` shows."""
    if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
        return life.track(agent, request.path, "WebSocket", protocol="websocket")
    version = request.version
    protocol = f"http/{version.major}.{version.minor}"
    return life.track(agent, request.path, request.method, protocol=protocol)


class _Work(Protocol):
    """The work that `track` returns."""

    def sent_away(self) -> None:
        """Report that the work is refused."""

    def came_from(self, address: object) -> None:
        """Report the client's end of the connection."""

    def told_to_go(self) -> None:
        """Report that the client was told to close its connection."""


_stream: Final[ContextVar[EventStream | None]] = ContextVar("_stream", default=None)
_sent_away: Final[ContextVar[Callable[[], None] | None]] = ContextVar("_sent_away", default=None)
"""Reports that a request after `settle` is ended at once."""
_told_to_go: Final[ContextVar[Callable[[], None]]] = ContextVar("_told_to_go", default=lambda: None)
"""Counts the connection of this request as told to close."""


async def _sent(request: web.Request, answer: Awaitable[web.StreamResponse]) -> web.StreamResponse:
    """Send the response here, as aiohttp would do after the last middleware."""
    try:
        response = await answer
    except web.HTTPException as response_:
        await _send(request, response_)
        raise
    if isinstance(response, web.StreamResponse):
        await _send(request, response)
    return response


async def _send(request: web.Request, response: web.StreamResponse) -> None:
    with suppress(ConnectionError):  # aiohttp gets the same error later, and handles it
        await response.prepare(request)
        await response.write_eof()


async def _close_once_open(socket: web.WebSocketResponse, told: Callable[[], None]) -> None:
    for _ in range(LOOKS):
        await asyncio.sleep(PAUSE)
        with suppress(RuntimeError):  # its handshake is not yet sent
            await _close(socket, told)
            return


async def _close(socket: web.WebSocketResponse, told: Callable[[], None]) -> None:
    if not socket.closed:
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"going away")
        told()

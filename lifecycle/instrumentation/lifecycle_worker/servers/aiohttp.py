"""
aiohttp: alone (`web.run_app`, `AppRunner`), and in gunicorn as `aiohttp.GunicornWebWorker`.

A request is in flight until its handler has returned and its response is written. After the drain
start, each response has `Connection: close`, and closes the connection. After the settle
time, idle connections are closed, WebSockets are closed with 1001, and event streams are ended.
The handler of such a connection is cancelled.

Not covered: nothing that is known. If a handler continues after the 1001 of its WebSocket, it is
work in flight until it returns.
"""

from __future__ import annotations

from ..connections import GOING_AWAY, PATIENCE, end, is_quiet, serves_on
from ..event_streams import EVENTS, STREAM_HEADER, asks_for_events, is_endless
from ..seams import needs, seam, wrap
from ..words import finds
from ..worker import worker

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from typing import Any

SERVER = "aiohttp"

_servers: Any = None
"""A `WeakSet` of the servers in this process."""
_half_read: set[Any] = set()
"""Connections on which a part of the next request was read, after the drain start."""
_asked: dict[Any, Any] = {}
"""The running requests, by their connection."""
_long: dict[Any, _Long] = {}
"""Long-lived responses, by their connection."""
_ending: set[Any] = set()


class _Long:
    """A WebSocket or an event stream."""

    def __init__(self, response: Any, task: Any) -> None:
        self.response = response
        self.task = task
        self.late = worker.settled
        """Whether it was opened after the settle time, so that it is not an arrival."""
        self.ended = False


def patch_protocol(module: Any) -> None:
    """Count requests, in `aiohttp.web_protocol`."""
    handler = seam(module, "RequestHandler")
    needs(handler.start, "_waiter", "_handle_request")
    needs(handler.data_received, "_request_count")
    seam(handler, "force_close")

    def handle(was: Any) -> Any:
        async def handle_request(self: Any, request: Any, *args: Any, **options: Any) -> Any:
            _asked[self] = request
            worker.begin(self)
            try:
                return await was(self, request, *args, **options)
            finally:
                long = _long.pop(self, None)
                _half_read.discard(self)
                if worker.draining:
                    sent_away = long is not None and long.ended and long.late
                    agent = request.headers.get("User-Agent", "")
                    peer = getattr(request, "_transport_peername", None)
                    worker.end_from(self, agent, request.path, sent_away=sent_away, peer=peer)
                else:
                    worker.end(self)
                _asked.pop(self, None)

        return handle_request

    def receive(was: Any) -> Any:
        def data_received(self: Any, data: Any) -> None:
            was(self, data)
            if worker.draining:
                (_half_read.add if _waits(self) else _half_read.discard)(self)

        return data_received

    finds(handler, _of_connection)
    wrap(handler, "_handle_request", handle)
    wrap(handler, "data_received", receive)


def patch_response(module: Any) -> None:
    """Send `Connection: close`, and note long-lived responses, in `aiohttp.web_response`."""

    def prepare(was: Any) -> Any:
        def prepare_headers(self: Any) -> Any:
            if self.status == 101:
                _begin(self)
            else:
                if worker.draining:
                    self.headers.pop("Connection", None)
                    self.force_close()
                    worker.told_to_go()
                kind = self.headers.get("Content-Type", "")
                if len(kind) >= len(EVENTS) and is_endless(
                    kind, self.headers.get(STREAM_HEADER, "")
                ):
                    request = self._req
                    if asks_for_events(request.method, request.headers.getall("Accept", ())):
                        _begin(self)
            return was(self)

        return prepare_headers

    needs(seam(module, "StreamResponse._prepare_headers"), "_req", "_keep_alive")
    seam(module, "StreamResponse.force_close")
    wrap(module, "StreamResponse._prepare_headers", prepare)


def patch_server(module: Any) -> None:
    """Note the servers, in `aiohttp.web_server`."""
    global _servers  # noqa: PLW0603 - weakref is imported no earlier
    import asyncio
    import weakref

    seam(module, "Server.connections")
    _servers = weakref.WeakSet()

    def make(was: Any) -> Any:
        def __init__(self: Any, *args: Any, **options: Any) -> None:  # noqa: N807
            was(self, *args, **options)
            _servers.add(self)

        return __init__

    def connect(was: Any) -> Any:
        def connection_made(self: Any, *args: Any, **options: Any) -> None:
            if worker.slot is None:  # a `web.Server` that no runner runs
                serves_on(asyncio.get_running_loop(), SERVER, _close_idle)
            was(self, *args, **options)

        return connection_made

    wrap(module, "Server.__init__", make)
    wrap(module, "Server.connection_made", connect)


def patch_worker(module: Any) -> None:
    """Note that gunicorn's workers will serve, in `aiohttp.worker`."""
    seam(module, "GunicornWebWorker")


def patch_runner(module: Any) -> None:
    """Report when it serves, in `aiohttp.web_runner`."""
    import asyncio

    def set_up(was: Any) -> Any:
        async def setup(self: Any) -> None:
            worker.expects(SERVER)
            await was(self)

        return setup

    def begin(was: Any) -> Any:
        async def start(self: Any) -> None:
            await was(self)
            serves_on(asyncio.get_running_loop(), SERVER, _close_idle)

        return start

    sites = ("TCPSite", "UnixSite", "SockSite")
    for each in sites:
        seam(module, each + ".start")
    wrap(module, "BaseRunner.setup", set_up)
    for each in sites:
        wrap(module, each + ".start", begin)


def _begin(response: Any) -> None:
    import asyncio

    request = response._req
    if request is not None and worker.slot is not None:
        _long[request.protocol] = _Long(response, asyncio.current_task())


def _of_connection(connection: Any) -> Any:
    request = _asked[connection]
    agent = request.headers.get("User-Agent", "")
    if connection in _long and _long[connection].response.status == 101:
        return "WebSocket", request.path, agent, "websocket"
    return request.method, request.path, agent, tuple(request.version)


def _waits(connection: Any) -> bool:
    waiter = connection._waiter
    return waiter is not None and not waiter.done()


def _close_idle() -> None:
    import asyncio

    connections = [each for server in tuple(_servers) for each in server.connections]
    _half_read.intersection_update(connections)
    for each in connections:
        answered = each._request_count > 0 and _waits(each)
        if answered and each not in _half_read and is_quiet(each.transport):
            end(each.transport)
            each.force_close()
    for connection, long in list(_long.items()):
        if not long.ended and long.response.prepared:
            long.ended = True
            task = asyncio.ensure_future(_end(connection, long))
            _ending.add(task)
            task.add_done_callback(_ending.discard)


async def _end(connection: Any, long: _Long) -> None:
    """End it, and cut it off if its client does not read the end."""
    import asyncio

    transport, response = connection.transport, long.response
    websocket = response.status == 101
    if not websocket:
        response.write = _until_cancelled  # the app may come round before it is cancelled
    try:
        farewell = response.close(code=GOING_AWAY) if websocket else response.write_eof()
        if websocket:
            worker.told_to_go()
        await asyncio.wait_for(farewell, PATIENCE)
    except RuntimeError:  # it is being opened: at the next heartbeat
        long.ended = False
        return
    except Exception:
        if transport is not None:
            transport.abort()
    if not websocket:
        long.task.cancel()


async def _until_cancelled(_: Any) -> None:
    import asyncio

    await asyncio.get_running_loop().create_future()

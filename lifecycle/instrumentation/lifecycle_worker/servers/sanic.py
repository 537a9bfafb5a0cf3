"""
Sanic with its own command or `app.run`: single process, and with any number of workers.

A request is in flight while its handler runs and its response is written, and a WebSocket until its
handler returns. After the drain start, a response middleware adds `Connection: close` to each
response, and closes the connection. (Sanic compiles some of its methods again from their source, so
a patch would be lost.) After the settle time, idle connections are closed, WebSockets are
closed with 1001, and event streams are ended. The handler of such a connection is cancelled.

Not covered: HTTP/3. Sanic does not replace a worker that dies.
"""

from __future__ import annotations

from ..connections import PATIENCE, end, is_quiet, serves_on
from ..event_streams import STREAM_HEADER, asks_for_events, is_endless
from ..seams import needs, seam, wrap
from ..words import finds
from ..worker import worker

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from typing import Any

SERVER = "sanic"

_prepared: set[int] = set()
"""The apps that have our middleware."""
_connections: Any = ()
"""The connections of the server in this process."""
_streams: set[Any] = set()
"""The connections whose response is an event stream."""
_late: set[Any] = set()
"""Connections whose WebSocket or stream was opened after the settle time."""
_ended: set[Any] = set()
"""Connections whose WebSocket or stream was ended here."""
_ending: set[Any] = set()


def patch_runners(module: Any) -> None:
    """Count requests, and report when it serves, in `sanic.server.runners`."""
    import inspect

    serve = seam(module, "_serve_http_1")
    signature = inspect.signature(serve)
    needs(serve, "app", "protocol", "connections", "loop")
    for name in ("_setup", "close_if_idle", "abort", "recv_buffer", "connection_task"):
        seam(module, "HttpProtocol." + name)
    seam(module, "HttpProtocol.HTTP_CLASS.response_func")
    needs(module.HttpProtocol._setup, "request_handler")

    def make(was: Any) -> Any:
        def _serve_http_1(*args: Any, **options: Any) -> Any:
            given = signature.bind(*args, **options)
            given.apply_defaults()
            _prepare(given.arguments)
            return was(*given.args, **given.kwargs)

        return _serve_http_1

    wrap(module, "_serve_http_1", make)


def _prepare(given: dict[str, Any]) -> None:
    global _connections  # noqa: PLW0603 - a process has one server
    app, loop = given["app"], given["loop"]
    if worker.board is None or id(app) in _prepared:
        return
    _prepared.add(id(app))
    if given["connections"] is None:
        given["connections"] = set()
    _connections = given["connections"]
    given["protocol"] = _counting(given["protocol"])

    async def started(*_: Any) -> None:
        serves_on(loop, SERVER, _close_idle)

    app.register_listener(started, "after_server_start")
    app.register_middleware(_say_close, "response")


def _say_close(request: Any, response: Any) -> None:
    stream = request.stream
    if stream is None:
        return
    if worker.draining:
        stream.keep_alive = False
        worker.told_to_go()
    kind = response.content_type or ""
    if is_endless(kind, response.headers.get(STREAM_HEADER, "")) and asks_for_events(
        request.method, request.headers.getall("accept", ())
    ):
        _streams.add(stream.protocol)


def _counting(protocol: Any) -> Any:
    class Counting(protocol):  # type: ignore[misc]
        __slots__ = ("answered", "asked")

        def _setup(self: Any) -> None:
            super()._setup()
            self.answered = False
            self.asked = None
            self.request_handler = _counted(self, self.request_handler)

    Counting.__name__ = protocol.__name__
    finds(Counting, _of_connection)
    return Counting


def _of_connection(connection: Any) -> Any:
    request = connection.asked
    websocket = getattr(connection, "websocket", None) is not None
    return (
        "WebSocket" if websocket else request.method,
        request.path,
        request.headers.get("user-agent", ""),
        "websocket" if websocket else request.version,
    )


def _counted(connection: Any, handler: Any) -> Any:
    async def handle_request(request: Any) -> None:
        connection.asked = request
        worker.begin(connection)
        if worker.settled:
            _late.add(connection)
        try:
            await handler(request)
            http = connection.http
            if http is not None and http.stage.name == "RESPONSE":
                await http.response.send(end_stream=True)  # Sanic does it behind the handler
        finally:
            connection.answered = True
            _streams.discard(connection)
            sent_away = connection in _ended and connection in _late
            _ended.discard(connection)
            _late.discard(connection)
            if worker.draining:
                agent = request.headers.get("user-agent", "")
                peer = getattr(connection.conn_info, "peername", None)
                worker.end_from(connection, agent, request.path, sent_away=sent_away, peer=peer)
            else:
                worker.end(connection)
            connection.asked = None

    return handle_request


def _close_idle() -> None:
    import asyncio

    for connection in tuple(_connections):  # a closed connection removes itself
        if getattr(connection, "websocket", None) is not None:
            if connection not in _ended:
                _ended.add(connection)
                connection.close_if_idle()  # with 1001
                worker.told_to_go()
                connection.loop.call_later(PATIENCE, _cut, connection)
        elif connection in _streams:
            if connection not in _ended:
                _ended.add(connection)
                task = asyncio.ensure_future(_end_stream(connection))
                _ending.add(task)
                task.add_done_callback(_ending.discard)
        elif _is_idle(connection):
            end(connection.transport)
            connection.close_if_idle()


def _is_idle(connection: Any) -> bool:
    http = connection.http
    return bool(
        connection.answered
        and http is not None
        and http.stage.name == "IDLE"
        and not connection.recv_buffer
        and is_quiet(connection.transport)
    )


def _cut(connection: Any) -> None:
    if connection in _connections:
        connection.abort()


async def _end_stream(connection: Any) -> None:
    """End it between two events, and cut it off if its client does not read the end."""
    import asyncio

    http = connection.http
    http.keep_alive = False
    send = http.response_func
    http.response_func = _until_cancelled  # the app may come round before it is cancelled

    async def last() -> None:
        await send(b"", end_stream=True)
        http.response_func = _until_cancelled

    try:
        await asyncio.wait_for(last(), PATIENCE)
    except Exception:
        connection.abort()
    else:
        connection.close()  # so its handler is cancelled, as when its client goes


async def _until_cancelled(*_: Any, **__: Any) -> None:
    import asyncio

    await asyncio.get_running_loop().create_future()

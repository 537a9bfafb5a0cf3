"""
Tornado: alone, after `fork_processes`, and in gunicorn as its tornado worker.

A request is in flight from its last header until its response is written, and a WebSocket until it
is closed. After the drain start, each response has `Connection: close`, and closes the connection.
After the settle time, idle connections are closed, WebSockets are closed with 1001, and event
streams are ended. Their handlers are informed by `on_connection_close`, and a later write raises
`StreamClosedError`.

Not covered: the masters of `fork_processes` and `HTTPServer.start(N)` end at SIGTERM, and leave
their children to the parent. The parent ends the children once nothing is in flight.
"""

from __future__ import annotations

import sys

from .. import standing
from ..connections import GOING_AWAY, PATIENCE, serves_on, unread
from ..event_streams import EVENTS, STREAM_HEADER, asks_for_events, is_endless
from ..seams import needs, seam, wrap
from ..unread import is_half_read
from ..words import finds
from ..worker import worker

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from typing import Any

SERVER = "tornado"

_answered: Any = None
"""A `WeakSet` of the streams that wait for their next request."""
_streams: dict[Any, bool] = {}
"""Event streams, and whether they must end at once (opened after the settle time)."""
_sockets: dict[Any, bool] = {}
"""WebSockets, and whether they must end at once."""
_loops: set[Any] = set()
"""The loops that serve."""
EXECUTE = "_execute"
"""The coroutine of a handler."""
_ended: set[Any] = set()
"""Event streams and WebSockets that were ended here."""


def patch_connection(module: Any) -> None:
    """Count requests, and send `Connection: close`, in `tornado.http1connection`."""
    global _answered  # noqa: PLW0603 - weakref is imported no earlier
    import weakref

    connection = seam(module, "HTTP1Connection")
    needs(seam(connection, "_finish_request"), "_disconnect_on_finish", "close")
    needs(connection.write_headers, "_request_start_line", "_request_headers")
    needs(seam(connection, "_on_connection_close"), "_close_callback")
    _answered = weakref.WeakSet()
    finds(connection, _of_connection)
    standing.tasks.append(_handlers)
    wrap(connection, "_parse_headers", _parse)
    wrap(connection, "read_response", _read)
    wrap(connection, "write_headers", _write)


def _of_connection(connection: Any) -> Any:
    first, headers = connection._request_start_line, connection._request_headers
    return first.method, first.path, headers.get("User-Agent", ""), first.version


def _of_websocket(socket: Any) -> Any:
    request = socket.handler.request
    return "WebSocket", request.path, request.headers.get("User-Agent", ""), "websocket"


def _handlers() -> list[tuple[object, Any]]:
    """Return the connections whose handlers run, and the tasks of these."""
    asyncio: Any = sys.modules["asyncio"]
    tasks = [each for loop in tuple(_loops) for each in asyncio.all_tasks(loop)]
    return [(key, task) for task in tasks if (key := _connection_of(task)) is not None]


def _connection_of(task: Any) -> object:
    try:
        frame = getattr(task.get_coro(), "cr_frame", None)
        if frame is None or frame.f_code.co_name != EXECUTE:
            return None
        return getattr(getattr(frame.f_locals.get("self"), "request", None), "connection", None)
    except Exception:  # `request` may be a property of the app
        return None


def _parse(was: Any) -> Any:
    def _parse_headers(self: Any, data: Any) -> Any:
        found = was(self, data)
        if not self.is_client:
            worker.begin(self)
            _answered.discard(self.stream)
        return found

    return _parse_headers


def _read(was: Any) -> Any:
    def read_response(self: Any, delegate: Any) -> Any:
        reading = was(self, delegate)
        return reading if self.is_client else _counted(self, reading)

    return read_response


def _write(was: Any) -> Any:
    def write_headers(self: Any, start_line: Any, headers: Any, *args: Any, **more: Any) -> Any:
        if not self.is_client and start_line.code >= 200:
            if worker.draining:
                _say_close(self, headers)
                worker.told_to_go()
            kind = headers.get("Content-Type", "")
            if len(kind) >= len(EVENTS):
                _note_stream(self, kind, headers)
        return was(self, start_line, headers, *args, **more)

    return write_headers


def patch_websocket(module: Any) -> None:
    """Count WebSockets, in `tornado.websocket`."""
    needs(seam(module, "WebSocketProtocol13._accept_connection"), "_receive_frame_loop")

    def accept(was: Any) -> Any:
        async def accept_connection(self: Any, handler: Any) -> None:
            worker.begin(self)
            _sockets[self] = worker.settled
            try:
                await was(self, handler)
            finally:
                headers, path = handler.request.headers, handler.request.path
                peer = _peer(handler.request.connection)
                _end(self, headers, path, peer, late=_sockets.pop(self))

        return accept_connection

    finds(seam(module, "WebSocketProtocol13"), _of_websocket)
    wrap(module, "WebSocketProtocol13.accept_connection", accept)


def patch_worker(module: Any) -> None:
    """Note that gunicorn's workers will serve, in `gunicorn.workers.gtornado`."""
    seam(module, "TornadoWorker")


def patch_server(module: Any) -> None:
    """Report when it serves, in `tornado.httpserver`."""

    def make(was: Any) -> Any:
        def initialize(self: Any, *args: Any, **options: Any) -> None:
            worker.expects(SERVER)
            was(self, *args, **options)

        return initialize

    def listen(was: Any) -> Any:
        def add_sockets(self: Any, *args: Any, **options: Any) -> None:
            from tornado.ioloop import IOLoop  # type: ignore[import-not-found, unused-ignore]

            was(self, *args, **options)
            ioloop: Any = IOLoop.current()
            _loops.add(ioloop.asyncio_loop)
            ioloop.add_callback(serves_on, ioloop.asyncio_loop, SERVER, _close_idle)

        return add_sockets

    seam(module, "HTTPServer.add_sockets")
    wrap(module, "HTTPServer.initialize", make)
    wrap(module, "HTTPServer.add_sockets", listen)


async def _counted(connection: Any, reading: Any) -> Any:
    stream = connection.stream
    goes_on = False
    try:
        goes_on = await reading
        return goes_on
    finally:
        late = _streams.pop(connection, False)
        line = connection._response_start_line
        if line is not None and line.code == 101:
            _end(connection, None, "", False)  # it is counted as a WebSocket
        else:
            first = connection._request_start_line
            path = first.path.partition("?")[0] if first is not None else ""
            _end(connection, connection._request_headers, path, _peer(connection), late=late)
        if goes_on and not stream.closed():
            _answered.add(stream)


def _peer(connection: Any) -> Any:
    return getattr(getattr(connection, "context", None), "address", None)


def _end(key: Any, headers: Any, path: str, peer: Any, *, late: bool = False) -> None:
    sent_away = headers is None or (late and key in _ended)
    _ended.discard(key)
    agent = headers.get("User-Agent", "") if headers is not None and worker.draining else ""
    worker.end_from(key, agent, path, sent_away=sent_away, peer=peer)


def _say_close(connection: Any, headers: Any) -> None:
    connection._disconnect_on_finish = True
    headers["Connection"] = "close"
    if "Connection" in connection._request_headers:  # otherwise the response would have Keep-Alive
        connection._request_headers = connection._request_headers.copy()
        del connection._request_headers["Connection"]


def _note_stream(connection: Any, kind: str, headers: Any) -> None:
    first, asked = connection._request_start_line, connection._request_headers
    if is_endless(kind, headers.get(STREAM_HEADER, "")) and asks_for_events(
        first.method, asked.get_list("Accept")
    ):
        _streams[connection] = worker.settled


def _close_idle() -> None:
    for stream in list(_answered):
        half_read = getattr(stream, "_read_buffer_size", 0)
        if stream.closed() or half_read or stream.writing() or unread(stream.socket):
            continue
        if hasattr(stream.socket, "pending") and is_half_read(stream.socket):
            continue
        stream.close()
    for connection in list(_streams):
        if connection not in _ended:
            _end_stream(connection)
    for socket in list(_sockets):
        if socket not in _ended and socket.stream is not None:
            _ended.add(socket)
            socket.handler.close(GOING_AWAY)
            worker.told_to_go()
            socket.stream.io_loop.call_later(PATIENCE, _cut, socket)


def _cut(socket: Any) -> None:
    if socket in _sockets:
        socket.stream.close()


def _end_stream(connection: Any) -> None:
    _ended.add(connection)
    stream, tell = connection.stream, connection._close_callback
    if stream is None or stream.closed():
        return
    connection._disconnect_on_finish = True
    connection.finish()
    connection.write = _gone  # so that its handler writes nothing after the end
    if not stream.closed():
        stream.io_loop.call_later(PATIENCE, stream.close)
    if tell is not None:
        tell()


def _gone(_: bytes) -> Any:
    from tornado.concurrent import Future  # type: ignore[import-not-found, unused-ignore]
    from tornado.iostream import StreamClosedError

    future: Any = Future()
    future.set_exception(StreamClosedError())
    future.exception()
    return future

"""
hypercorn: its command with any number of workers, and `hypercorn.asyncio.serve`, on asyncio and
uvloop.

A request or a WebSocket is in flight until the app has returned. After the drain start, each HTTP/1
response has `Connection: close`, and hypercorn closes the connection because of it. Each HTTP/2
connection with a request gets a GOAWAY, also one that opens later. The frame is written directly,
because the GOAWAY of h2 would end running streams. After the settle time, idle connections
are closed, WebSockets are closed with 1001, and event streams are ended.

Not covered: trio, HTTP/3.
"""

from __future__ import annotations

from ..asgi import App
from ..connections import end, is_quiet, serves_on
from ..long_lived import end_long_lived
from ..seams import needs, seam, wrap
from ..worker import BEAT, worker

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from typing import Any

SERVER = "hypercorn"
GOAWAY = b"\0\0\x08\x07\0\0\0\0\0" + b"\x7f\xff\xff\xff" + b"\0\0\0\0"
"""A GOAWAY without a last stream: running streams continue, and the client starts no new ones."""

_connections: dict[Any, bool] = {}
"""The connections, and whether each one has got a GOAWAY."""


def patch_command(module: Any) -> None:
    """Have READY wait for its workers, in `hypercorn.run`."""
    needs(seam(module, "run"), "worker_class")

    def run(was: Any) -> Any:
        def run(config: Any) -> Any:
            if config.worker_class == "trio":
                worker.complain(
                    "requests of hypercorn's trio workers are not counted, and their keep-alive"
                    " connections close without notice. Use --worker-class asyncio or uvloop,"
                    " or one process with lifecycle run --asgi"
                )
            else:
                worker.expects(SERVER)
            return was(config)

        return run

    wrap(module, "run", run)


def patch_run(module: Any) -> None:
    """Count the requests of an app, and report when it serves, in `hypercorn.asyncio.run`."""
    needs(seam(module, "worker_serve"), "raise_shutdown")
    needs(seam(module, "asyncio.StreamReader._wait_for_data"), "_waiter")

    def serve(was: Any) -> Any:
        async def worker_serve(app: Any, *arguments: Any, **named: Any) -> None:
            worker.expects(SERVER)
            await was(App(app, _abort, tells_http2=True), *arguments, **named)

        return worker_serve

    def wait(was: Any) -> Any:
        async def raise_shutdown(*arguments: Any) -> None:
            loop = module.asyncio.get_running_loop()
            if serves_on(loop, SERVER, _close_idle):  # once the listeners are open
                _say_goodbye(loop)
            await was(*arguments)

        return raise_shutdown

    wrap(module, "worker_serve", serve)
    wrap(module, "raise_shutdown", wait)


def patch_connection(module: Any) -> None:
    """Note the connections, in `hypercorn.asyncio.tcp_server`."""
    needs(seam(module, "TCPServer.__init__"), "reader", "writer")
    needs(seam(module, "TCPServer.run"), "protocol")

    def run(was: Any) -> Any:
        async def run(self: Any) -> None:
            _connections[self] = False
            try:
                await was(self)
            finally:
                _connections.pop(self, None)

        return run

    wrap(module, "TCPServer.run", run)


def patch_negotiation(module: Any) -> None:
    """Check that the protocol of a connection can be read, in `hypercorn.protocol`."""
    needs(seam(module, "ProtocolWrapper.__init__"), "protocol")


def patch_http1(module: Any) -> None:
    """Check that idle connections can be recognized, in `hypercorn.protocol.h11`."""
    needs(seam(module, "H11Protocol.__init__"), "connection", "keep_alive_requests", "stream")


def patch_http2(module: Any) -> None:
    """Check that idle connections can be recognized, in `hypercorn.protocol.h2`."""
    needs(seam(module, "H2Protocol.__init__"), "connection", "keep_alive_requests", "streams")
    seam(module, "H2Protocol.idle")


def _abort(_receive: Any, send: Any) -> None:
    stream = send.__self__
    protocol = stream.send.__self__
    protocol.send.__self__.writer.transport.abort()


def _say_goodbye(loop: Any) -> None:
    if worker.slot is None:
        return
    if worker.draining:
        for each, told in tuple(_connections.items()):
            # A connection without a request gets none. Its client would reconnect repeatedly.
            if not told and _is_http2(each) and _has_asked(each) and not each.writer.is_closing():
                _connections[each] = True
                each.writer.write(GOAWAY)
                worker.told_to_go()
    loop.call_later(BEAT, _say_goodbye, loop)


def _close_idle() -> None:
    end_long_lived()
    for each in tuple(_connections):
        transport = each.writer.transport
        if not (_is_idle(each) and is_quiet(transport)):
            continue
        if _is_http2(each):  # a request that crosses with it can be sent again elsewhere
            http2 = _protocol(each).connection
            http2.close_connection()
            each.writer.write(http2.data_to_send())
        end(transport)
        transport.close()


def _is_idle(connection: Any) -> bool:
    protocol = _protocol(connection)
    if not _has_asked(connection) or connection.writer.transport.get_write_buffer_size():
        return False
    if connection.reader._waiter is None:  # asyncio has no other sign of a waiting reader
        return False
    if _is_http2(connection):
        return bool(protocol.idle)
    return protocol.stream is None and not protocol.connection.trailing_data[0]


def _has_asked(connection: Any) -> bool:
    return getattr(_protocol(connection), "keep_alive_requests", 0) > 0


def _is_http2(connection: Any) -> bool:
    return hasattr(_protocol(connection), "streams")


def _protocol(connection: Any) -> Any:
    return getattr(getattr(connection, "protocol", None), "protocol", None)

"""
gunicorn's gevent worker: a greenlet per connection.

A greenlet of ours has the heartbeat: as long as the hub turns, the worker makes progress. C code or
a long computation stops it. After the settle time, it also closes idle connections. It shuts
their sockets down, which ends the greenlets that wait in them.

`-k gevent_pywsgi` uses gevent's own server, and is not counted. HTTP/2 works as with gthread.
"""

from __future__ import annotations

from .. import standing
from ..seams import needs, seam, wrap
from ..unread import has_unread, is_half_read
from ..worker import BEAT, worker
from .gunicorn import counted, ending_streams

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HEARTBEAT = "lifecycle-heartbeat"
"""The name of our greenlet."""

BELOW = "_sock"
"""The attribute of gevent's sockets with the raw socket. Its shutdown wakes a reader of TLS too."""

FRESH, AT_WORK, IDLE, READING = range(4)
"""The states of a connection: no request so far; being served; idle; reading its next request."""


class Connections:
    """The states of the open connections, by their sockets."""

    def __init__(self) -> None:
        self.state: dict[Any, int] = {}
        self.greenlets: dict[Any, Any] = {}
        """The greenlets that serve the connections."""

    def set(self, sock: Any, state: int) -> None:
        """Set the state of a connection, if it is in the table."""
        if sock in self.state:
            self.state[sock] = state

    def close_idle(self, poll: Callable[[], Any]) -> None:
        """Close idle connections without unread bytes."""
        for sock, state in list(self.state.items()):
            raw = getattr(sock, BELOW)
            if state == IDLE and not has_unread(raw.fileno(), poll):
                if hasattr(sock, "pending") and is_half_read(raw):
                    continue
                self.state[sock] = READING
                try:
                    raw.shutdown(2)  # SHUT_RDWR
                except OSError:  # its client was quicker
                    pass


connections = Connections()


def patch_async(module: Any) -> None:
    """Count the requests of workers with a greenlet per connection."""
    cls = seam(module, "AsyncWorker")
    needs(seam(cls, "handle_request"), "wsgi")
    seam(cls, "load_wsgi")
    needs(seam(cls, "handle"), "handle_request", "listener", "client", "addr")
    from greenlet import getcurrent as current  # type: ignore[import-untyped]

    standing.greenlets.append(lambda: [*connections.greenlets.copy().values()])

    def make_read(chunk: Callable[..., bytes]) -> Callable[..., bytes]:
        def read(self: Any, *args: Any) -> bytes:
            found = chunk(self, *args)
            if connections.state.get(self.sock) == IDLE:
                connections.state[self.sock] = READING  # its next request has begun to come
            return found

        return read

    def make_handle(handle: Callable[..., None]) -> Callable[..., None]:
        def handle_connection(self: Any, listener: Any, client: Any, addr: Any) -> None:
            connections.state[client] = FRESH
            connections.greenlets[client] = current()
            try:
                handle(self, listener, client, addr)
            finally:
                connections.state.pop(client, None)
                connections.greenlets.pop(client, None)

        return handle_connection

    def make_request(handle: Callable[..., Any]) -> Callable[..., Any]:
        count = counted(1)(handle)

        def handle_request(self: Any, name: Any, req: Any, sock: Any, addr: Any) -> Any:
            connections.set(sock, AT_WORK)
            result = count(self, name, req, sock, addr)
            connections.set(sock, IDLE)
            return result

        return handle_request

    wrap(module, "http.unreader.SocketUnreader.chunk", make_read)
    wrap(cls, "load_wsgi", ending_streams)
    wrap(cls, "handle", make_handle)
    wrap(cls, "handle_request", make_request)
    if hasattr(cls, "handle_http2_request"):
        wrap(cls, "handle_http2_request", counted(1))


def patch_gevent(module: Any) -> None:
    """Start the heartbeat in the worker's hub, which also closes idle connections."""
    cls = seam(module, "GeventWorker")
    get_original = seam(module, "monkey.get_original")
    spawn, sleep = seam(module, "gevent.spawn"), seam(module, "gevent.sleep")

    def beat() -> None:
        while True:
            worker.beat()
            sleep(BEAT)

    def make(run: Callable[[Any], None]) -> Callable[[Any], None]:
        def serve(self: Any) -> None:
            if self.server_class is not None:
                worker.complain(
                    "requests of gunicorn's gevent_pywsgi worker are not counted. Use -k gevent"
                )
                worker.fails("gunicorn gevent_pywsgi")
            elif worker.serves("gunicorn gevent"):
                poll = get_original("select", "poll")
                worker.closes(lambda: connections.close_idle(poll))
                spawn(beat).name = HEARTBEAT
            run(self)

        return serve

    wrap(cls, "run", make)

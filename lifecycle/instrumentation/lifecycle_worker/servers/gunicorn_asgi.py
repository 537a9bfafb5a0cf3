"""
gunicorn's own asgi worker: an asyncio loop that serves all requests.

A request or a WebSocket is in flight until the app has returned. The loop has a heartbeat. After
the drain start, each HTTP/1 response has `Connection: close`, and closes the connection. After the
settle time, idle connections are closed, and WebSockets are closed with 1001. HTTP/2 (a beta
of gunicorn) works as with gthread.
"""

from __future__ import annotations

from ..asgi import App
from ..connections import is_quiet, serves_on
from ..long_lived import end_long_lived
from ..seams import needs, seam, wrap
from ..worker import worker

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

LATCHED = "_lifecycle_latched"
"""The attribute of a connection with the last decided request, and the decision."""
READ = "_lifecycle_read"
"""The attribute of a connection that shows whether bytes of the next request were read."""

connections: set[Any] = set()


def patch_worker(module: Any) -> None:
    """Count the requests of the app, and report that it serves once its lifespan has started."""
    cls = seam(module, "ASGIWorker")
    needs(seam(cls, "_serve"), "notify", "create_server")
    needs(seam(cls, "load_wsgi"), "asgi")

    def make_load(load: Callable[[Any], None]) -> Callable[[Any], None]:
        def load_wsgi(self: Any) -> None:
            load(self)
            self.asgi = App(self.asgi, _abort)

        return load_wsgi

    def make_notify(notify: Callable[[Any], None]) -> Callable[[Any], None]:
        def turn(self: Any) -> None:
            serves_on(self.loop, "gunicorn asgi", _close_idle)
            notify(self)

        return turn

    wrap(cls, "load_wsgi", make_load)
    wrap(cls, "notify", make_notify)


def patch_protocol(module: Any) -> None:
    """Fix the decision to close when the header is made, and note which connections are idle."""
    cls = seam(module, "ASGIProtocol")
    for name in ("connection_made", "connection_lost", "data_received", "_keepalive_timeout"):
        seam(cls, name)
    needs(seam(cls, "_handle_connection"), "_awaiting_request", "req_count")
    seam(cls, "_arm_keepalive_timer")

    wrap(cls, "_will_close", _closing)
    wrap(cls, "connection_made", _made)
    wrap(cls, "connection_lost", _lost)
    wrap(cls, "data_received", _received)
    wrap(cls, "_arm_keepalive_timer", _armed)


def _abort(receive: Any, _send: Any) -> None:
    belongs_to = receive.__self__
    getattr(belongs_to, "protocol", belongs_to).transport.abort()


def _closing(will_close: Callable[..., bool]) -> Callable[..., bool]:
    def decide(self: Any, request: Any, *args: Any) -> bool:
        latched = getattr(self, LATCHED, None)
        if latched is None or latched[0] is not request:
            latched = (request, worker.draining)
            setattr(self, LATCHED, latched)
        return latched[1] or will_close(self, request, *args)

    return decide


def _made(made: Callable[..., None]) -> Callable[..., None]:
    def connection_made(self: Any, transport: Any) -> None:
        connections.add(self)
        made(self, transport)

    return connection_made


def _lost(lost: Callable[..., None]) -> Callable[..., None]:
    def connection_lost(self: Any, error: Any) -> None:
        connections.discard(self)
        lost(self, error)

    return connection_lost


def _received(received: Callable[..., None]) -> Callable[..., None]:
    def data_received(self: Any, data: bytes) -> None:
        setattr(self, READ, True)
        received(self, data)

    return data_received


def _armed(arm: Callable[[Any], None]) -> Callable[[Any], None]:
    def wait(self: Any) -> None:
        setattr(self, READ, False)
        arm(self)

    return wait


def _close_idle() -> None:
    """Close idle connections without unread bytes, and end long-lived ones."""
    for each in tuple(connections):
        waits = each._awaiting_request and each.req_count > 1
        if waits and not getattr(each, READ, True) and is_quiet(each.transport):
            each._keepalive_timeout()
    end_long_lived()

"""
gunicorn's gthread worker: threads that serve, and a loop that accepts and waits.

Its loop turns whatever its threads do, so a heartbeat would prove nothing. The worker makes no
progress if all threads are busy, and none has ended a request for `loop_stall_limit`.

After the settle time, the loop closes idle connections. An HTTP/2 connection (a beta of
gunicorn) gets no notice before gunicorn sends GOAWAY at its stop.

When gunicorn's loop closes a connection, it waits up to 2 s for the client to close its side. In a
drain, this would add up for all slow clients, so the loop continues meanwhile.
"""

from __future__ import annotations

from time import monotonic

from ..seams import Moved, needs, seam, wrap
from ..unread import has_unread
from ..worker import BEAT, worker
from .gunicorn import ending_streams, known

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SHUT_WR = 1  # as in `socket`, which is imported later
LINGER = 2.0
"""Seconds for a client to close its side, as in gunicorn."""
_lingering: list[Lingering] = []
"""The closing connections of this worker, once it serves."""


def patch_gthread(module: Any) -> None:
    """Count its requests, close its idle connections, and add a heartbeat to its loop."""
    cls = seam(module, "ThreadWorker")
    needs(seam(cls, "handle_request"), "wsgi")
    seam(cls, "load_wsgi")
    needs(seam(cls, "init_process"), "poller")
    kept = _name_of_kept(cls)
    needs(seam(cls, "murder_keepalived"), kept, "poller", "unregister", "nr_conns")

    def make(run: Callable[[Any], None]) -> Callable[[Any], None]:
        def serve(self: Any) -> None:
            if worker.serves("gunicorn gthread", capacity=self.cfg.threads):
                _beat_in(self, Lingering(self.poller, module.selectors.EVENT_READ))
                worker.closes(lambda: _close_idle(self, getattr(self, kept)))
            run(self)

        return serve

    def make_close(close: Callable[..., None]) -> Callable[..., None]:
        def close_or_linger(self: Any, *args: Any, **named: Any) -> None:
            lingers = any(args) or any(named.values())  # `graceful`, in the versions that do
            if lingers and _lingering and worker.draining:
                _lingering[0].add(self.sock)
            else:
                close(self, *args, **named)

        return close_or_linger

    seam(module, "selectors.EVENT_READ")
    wrap(module, "TConn.close", make_close)
    wrap(cls, "run", make)
    wrap(cls, "load_wsgi", ending_streams)
    wrap(cls, "handle_request", known(0))
    if hasattr(cls, "handle_http2_request"):
        wrap(cls, "handle_http2_request", known(0))


def _name_of_kept(cls: Any) -> str:
    for name in ("keepalived_conns", "_keep"):
        if name in cls.__init__.__code__.co_names:
            return name
    raise Moved("no keepalived_conns in ThreadWorker")


class Lingering:
    """
    Connections that are over, and wait up to `LINGER` until their clients close their side.

    Args:
        poller: The poller of the worker's loop.
        event: The poller's event for arrived bytes.
    """

    def __init__(self, poller: Any, event: Any) -> None:
        self._poller = poller
        self._event = event
        self._until: dict[Any, float] = {}

    def add(self, sock: Any) -> None:
        """Close a connection in the loop, while the loop continues."""
        try:
            sock.shutdown(SHUT_WR)
            sock.setblocking(False)
            self._poller.register(sock, self._event, self._read)
        except (KeyError, ValueError, OSError):
            sock.close()
        else:
            self._until[sock] = monotonic() + LINGER

    def end_late(self) -> None:
        """Close the connections whose time is over."""
        now = monotonic()
        for sock in [sock for sock, until in self._until.items() if until <= now]:
            self._end(sock)

    def _read(self, sock: Any) -> None:
        try:
            while sock.recv(4096):
                pass
        except BlockingIOError:
            return
        except OSError:  # reset
            pass
        self._end(sock)

    def _end(self, sock: Any) -> None:
        self._until.pop(sock, None)
        try:
            self._poller.unregister(sock)
        except (KeyError, ValueError, OSError):
            pass
        sock.close()


def _beat_in(gunicorn: Any, lingering: Lingering) -> None:
    """Add a heartbeat to each turn of the loop, which alone waits with its poller."""
    select = gunicorn.poller.select
    _lingering[:] = [lingering]

    def select_and_beat(timeout: float | None = None) -> Any:
        if monotonic() >= worker.next_beat or not gunicorn.alive:
            lingering.end_late()
            worker.beat()
            if not gunicorn.alive and not gunicorn.nr_conns:
                return []  # it ends once the last connection is closed
        return select(BEAT if timeout is None or timeout > BEAT else timeout)

    gunicorn.poller.select = select_and_beat


def _close_idle(gunicorn: Any, kept: Any) -> None:
    """Close idle connections without unread bytes. Runs in the loop."""
    for conn in list(kept):
        if has_unread(conn.sock.fileno()):
            continue
        try:
            kept.remove(conn)
        except ValueError:
            continue
        try:
            gunicorn.poller.unregister(conn.sock)
        except (KeyError, ValueError, OSError):  # as gunicorn has it
            pass
        gunicorn.nr_conns -= 1
        conn.close()

"""
gunicorn's gthread worker: threads that serve, and a loop that accepts and waits.

Its loop comes round whatever its threads do, so it proves nothing: the worker makes no progress
once all threads are at work, and the oldest request is as old as `loop_stall_limit`.

Idle connections are closed from settle on, by the loop itself. An HTTP/2 connection (a beta of
gunicorn) is not told to go: gunicorn says GOAWAY when it stops.

gunicorn's loop waits up to 2 s for each client that it closes and that does not close its side. In
a drain that would be every client that is slow to notice, one after the other, so the loop goes
on meanwhile.
"""

from __future__ import annotations

from time import monotonic

from ..seams import Moved, needs, seam, wrap
from ..unread import has_unread
from ..worker import BEAT, worker
from .gunicorn import counted, ending_streams

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SHUT_WR = 1  # as in `socket`, which is imported later
LINGER = 2.0
"""Seconds that a client has to close its side, as gunicorn has it."""
_pollers: list[Any] = []
"""What this worker's loop waits with."""
_lingering: dict[Callable[[], None], float] = {}
"""What ends the connections that only wait for their clients, and when at the latest."""


def patch_gthread(module: Any) -> None:
    """Count its requests, close its idle connections, and beat in its loop."""
    cls = seam(module, "ThreadWorker")
    needs(seam(cls, "handle_request"), "wsgi")
    seam(cls, "load_wsgi")
    needs(seam(cls, "init_process"), "poller")
    kept = _name_of_kept(cls)
    needs(seam(cls, "murder_keepalived"), kept, "poller", "unregister", "nr_conns")

    def make(run: Callable[[Any], None]) -> Callable[[Any], None]:
        def serve(self: Any) -> None:
            if worker.serves("gunicorn gthread", capacity=self.cfg.threads):
                _beat_in(self)
                worker.closes(lambda: _close_idle(self, getattr(self, kept)))
            run(self)

        return serve

    def make_close(close: Callable[..., None]) -> Callable[..., None]:
        def close_or_linger(self: Any, *args: Any, **named: Any) -> None:
            lingers = any(args) or any(named.values())  # `graceful`, in the versions that do
            if lingers and _pollers and worker.draining:
                _linger(_pollers[-1], module.selectors.EVENT_READ, self.sock)
            else:
                close(self, *args, **named)

        return close_or_linger

    seam(module, "selectors.EVENT_READ")
    wrap(module, "TConn.close", make_close)
    wrap(cls, "run", make)
    wrap(cls, "load_wsgi", ending_streams)
    wrap(cls, "handle_request", counted(0))
    if hasattr(cls, "handle_http2_request"):
        wrap(cls, "handle_http2_request", counted(0))


def _name_of_kept(cls: Any) -> str:
    for name in ("keepalived_conns", "_keep"):
        if name in cls.__init__.__code__.co_names:
            return name
    raise Moved("no keepalived_conns in ThreadWorker")


def _linger(poller: Any, event: Any, sock: Any) -> None:
    """Close a connection once its client has, or after a while; in the loop, which goes on."""

    def read(_: Any) -> None:
        try:
            while sock.recv(4096):
                pass
        except BlockingIOError:
            return
        except OSError:  # reset
            pass
        end()

    def end() -> None:
        _lingering.pop(end, None)
        try:
            poller.unregister(sock)
        except (KeyError, ValueError, OSError):
            pass
        sock.close()

    try:
        sock.shutdown(SHUT_WR)
        sock.setblocking(False)
        poller.register(sock, event, read)
    except (KeyError, ValueError, OSError):
        sock.close()
        return
    _lingering[end] = monotonic() + LINGER


def _end_lingering() -> None:
    now = monotonic()
    for end in [end for end, limit in _lingering.items() if limit <= now]:
        end()


def _beat_in(gunicorn: Any) -> None:
    """Beat at each turn of the loop, which is the only one that waits with its poller."""
    select = gunicorn.poller.select
    _pollers.append(gunicorn.poller)

    def select_and_beat(timeout: float | None = None) -> Any:
        if _lingering:
            _end_lingering()
        if gunicorn.alive:
            worker.turn()
        else:  # it ends once the last connection is closed
            worker.beat()
            if not gunicorn.nr_conns:
                return []
        return select(BEAT if timeout is None else min(timeout, BEAT))

    gunicorn.poller.select = select_and_beat


def _close_idle(gunicorn: Any, kept: Any) -> None:
    """Close who has been answered, waits, and has nothing unread. Runs in the loop."""
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

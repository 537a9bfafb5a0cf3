"""
gunicorn's gthread worker: threads that serve, and a loop that accepts and waits.

Its loop comes round whatever its threads do, so it proves nothing: the worker makes no progress
once all threads are at work, and the oldest request is as old as `loop_stall_limit`.

Idle connections are closed from settle on, by the loop itself. An HTTP/2 connection (a beta of
gunicorn) is not told to go: gunicorn says GOAWAY when it stops.

While each answer says close, the loop waits up to 2 s for a client that does not close its side.
"""

from __future__ import annotations

from ..seams import Moved, needs, seam, wrap
from ..unread import has_unread
from ..worker import BEAT, worker
from .gunicorn import counted, ending_streams

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def patch_gthread(module: Any) -> None:
    """Count its requests, close its idle connections, and beat in its loop."""
    cls = seam(module, "ThreadWorker")
    needs(seam(cls, "handle_request"), "wsgi")
    seam(cls, "load_wsgi")
    seam(module, "TConn.close")
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


def _beat_in(gunicorn: Any) -> None:
    """Beat at each turn of the loop, which is the only one that waits with its poller."""
    select = gunicorn.poller.select

    def select_and_beat(timeout: float | None = None) -> Any:
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

"""
gunicorn: shared code for its workers, and its sync worker.

A request is in flight from `handle_request` until its last byte is in the kernel. While a worker
waits in `handle` for the first byte, or for the client's FIN, no request is in flight.

The sync worker closes each connection after its response, and announces it. It serves one request
at a time, so a long request counts as work, and not as a stall, until `loop_stall_limit`. If
gunicorn's own `timeout` is shorter, gunicorn kills the worker earlier.

After the settle time, event streams end, each at its next event.

If the parent was killed, workers of `--user` may not signal a master that runs as root. They end
themselves, and the master notices it when it must start new ones.
"""

from __future__ import annotations

from ..board import GO_AT
from ..early_signals import forks_workers
from ..event_streams import asks_for_events
from ..orphan import Orphan, has_parent
from ..seams import needs, seam, wrap
from ..worker import worker
from ..wsgi import App

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

IDLE_TURN = 1.0
"""Seconds between two turns of an idle sync worker. Its own value is `timeout` / 2."""

TELLING = {
    "aiohttp.worker": "aiohttp",
    "gunicorn.workers.gasgi": "gunicorn",
    "gunicorn.workers.ggevent": "gunicorn",
    "gunicorn.workers.gthread": "gunicorn",
    "gunicorn.workers.gtornado": "tornado",
    "gunicorn.workers.sync": "gunicorn",
    "uvicorn.workers": "uvicorn",
    "uvicorn_worker._workers": "uvicorn",
}
"""The modules of the worker classes, and the servers that report when they serve."""


def known(position: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """
    Return a wrapper that shows a worker's requests, for a loop with a heartbeat during requests.

    Args:
        position: The position of the request in the arguments after `self`.
    """
    count = counted(position)

    def make(handle: Callable[..., Any]) -> Callable[..., Any]:
        count_and_handle = count(handle)

        def handle_request(self: Any, *args: Any) -> Any:
            request, under_way = args[position], worker.under_way
            under_way.add(request)  # first, because the drain may start in between
            if worker.times[GO_AT] or not worker.keeper:
                under_way.discard(request)
                return count_and_handle(self, *args)
            try:
                return handle(self, *args)
            finally:
                under_way.discard(request)
                worker.comes()
                if worker.times[GO_AT]:  # it started before, so it is not an arrival
                    worker.forget(request)

        return handle_request

    return make


def counted(position: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """
    Return a wrapper that counts a worker's requests.

    Args:
        position: The position of the request in the arguments after `self`.
    """

    def make(handle: Callable[..., Any]) -> Callable[..., Any]:
        def handle_request(self: Any, *args: Any) -> Any:
            request = args[position]
            worker.begin(request)
            try:
                return handle(self, *args)
            finally:
                if worker.times[GO_AT]:
                    agent, events = _who_asks(request)
                    peer = getattr(request, "peer_addr", None)
                    worker.end_from(request, agent, request.path, sent_away=events, peer=peer)
                else:
                    worker.end(request)

        return handle_request

    return make


def _who_asks(request: Any) -> tuple[str, bool]:
    """Return the user agent, and whether an `EventSource` asks, which reconnects repeatedly."""
    agent, accept = "", []
    for name, value in request.headers:
        if name == "USER-AGENT":
            agent = value
        elif name == "ACCEPT":
            accept.append(value)
    return agent, asks_for_events(request.method, accept)


def ending_streams(load: Callable[[Any], None]) -> Callable[[Any], None]:
    """Wrap `load_wsgi`, so that event streams of the app end after the settle time."""

    def load_wsgi(self: Any) -> None:
        load(self)
        self.wsgi = App(self.wsgi)

    return load_wsgi


def patch_arbiter(module: Any) -> None:
    """
    Note the master before it loads an app or forks. Its workers serve in their main threads.

    If its parent was killed, the master ends, and does not restart its workers.
    """
    board = worker.board
    if board is None:
        return
    orphan = Orphan(board)
    needs(seam(module, "Arbiter.setup"), "worker_class")
    seam(module, "Arbiter.spawn_worker")

    def make_setup(setup: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        def set_up(self: Any, app: Any) -> None:
            worker.leads(self, lambda: _tells(getattr(self, "worker_class", None)))
            forks_workers()
            worker.on_loading()
            setup(self, app)

        return set_up

    def make(spawn: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def spawn_worker(self: Any) -> Any:
            if not has_parent(board):
                orphan.tell()
            return spawn(self)

        return spawn_worker

    wrap(module, "Arbiter.setup", make_setup)
    wrap(module, "Arbiter.spawn_worker", make)


def _tells(worker_class: Any) -> bool:
    """Return whether the workers of a class report when they serve."""
    if getattr(worker_class, "server_class", None) is not None:  # gevent_pywsgi
        return False
    modules = [each.__module__ for each in getattr(worker_class, "__mro__", ())]
    return any(TELLING.get(each, "") not in {"", *worker.failed} for each in modules)


def patch_response(module: Any) -> None:
    """Fix the decision to close when the header is made: the same response announces and closes."""
    seam(module, "Response.force_close")
    seam(module, "Response.should_close")

    def make(default_headers: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def with_close(self: Any) -> Any:
            if worker.times[GO_AT] and not self.upgrade:
                self.force_close()
                worker.told_to_go()
            return default_headers(self)

        return with_close

    wrap(module, "Response.default_headers", make)


def patch_sync(module: Any) -> None:
    """Count the requests of the sync worker."""
    needs(seam(module, "SyncWorker.handle_request"), "wsgi")
    seam(module, "SyncWorker.load_wsgi")
    seam(module, "SyncWorker.wait")

    def make(run: Callable[[Any], None]) -> Callable[[Any], None]:
        def serve(self: Any) -> None:
            worker.serves("gunicorn sync", capacity=1)
            run(self)

        return serve

    def make_wait(wait: Callable[[Any, float], Any]) -> Callable[[Any, float], Any]:
        def wait_and_beat(self: Any, timeout: float) -> Any:
            worker.turn()
            return wait(self, min(timeout, IDLE_TURN))

        return wait_and_beat

    wrap(module, "SyncWorker.run", make)
    wrap(module, "SyncWorker.wait", make_wait)
    wrap(module, "SyncWorker.load_wsgi", ending_streams)
    wrap(module, "SyncWorker.handle_request", counted(1))

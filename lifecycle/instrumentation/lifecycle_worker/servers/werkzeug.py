"""
werkzeug's own server: `flask run`, `app.run()`, also with `--reload`, where the child serves.

The server closes each connection after its response, and announces it. It has a thread per request,
without a limit. It makes no progress only if it has no threads (`--without-threads`), and the one
request is older than `loop_stall_limit`. With `processes` it forks for each request, and is not
counted. After the settle time, event streams end, each at its next event.
"""

from __future__ import annotations

from ..event_streams import asks_for_events
from ..seams import needs, seam, wrap
from ..words import finds
from ..worker import worker
from ..wsgi import App

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NAME = "werkzeug"
ANY_NUMBER = 1_000_000
"""A number of threads that are never all busy."""


def patch_serving(module: Any) -> None:
    """Count its requests."""
    server = seam(module, "BaseWSGIServer")
    needs(seam(module, "WSGIRequestHandler.run_wsgi"), "environ")
    needs(seam(module, "BaseWSGIServer.__init__"), "app")
    for name in ("multithread", "multiprocess", "serve_forever"):
        if not hasattr(server, name):
            seam(server, name)

    def make_start(init: Callable[..., None]) -> Callable[..., None]:
        def start(self: Any, *args: Any, **kwargs: Any) -> None:
            worker.expects(NAME)  # before its port is open
            init(self, *args, **kwargs)
            self.app = App(self.app)

        return start

    def make_serve(serve: Callable[..., None]) -> Callable[..., None]:
        def serve_forever(self: Any, *args: Any, **kwargs: Any) -> None:
            if self.multiprocess:
                worker.complain(
                    "requests of werkzeug's server with processes are not counted. Use threads"
                )
                worker.fails(NAME)
            else:
                worker.serves(NAME, capacity=ANY_NUMBER if self.multithread else 1)
            serve(self, *args, **kwargs)

        return serve_forever

    finds(module.WSGIRequestHandler, _of_handler)
    wrap(module, "BaseWSGIServer.__init__", make_start)
    wrap(module, "BaseWSGIServer.service_actions", _turning)
    wrap(module, "BaseWSGIServer.serve_forever", make_serve)
    wrap(module, "WSGIRequestHandler.run_wsgi", _counted)


def _turning(service_actions: Callable[[Any], None]) -> Callable[[Any], None]:
    """Add a heartbeat to each turn of its loop, which comes twice per second without requests."""

    def turn(self: Any) -> None:
        worker.turn()
        service_actions(self)

    return turn


def _of_handler(handler: Any) -> Any:
    agent = handler.headers.get("User-Agent", "")
    return handler.command, handler.path, agent, handler.request_version


def _counted(run_wsgi: Callable[[Any], None]) -> Callable[[Any], None]:
    def run(self: Any) -> None:
        worker.begin(self)
        try:
            run_wsgi(self)
        finally:
            if worker.draining:
                path, headers = self.path.partition("?")[0], self.headers
                events = asks_for_events(self.command, headers.get_all("Accept", ()))
                agent, peer = headers.get("User-Agent", ""), self.client_address
                worker.end_from(self, agent, path, sent_away=events, peer=peer)
            else:
                worker.end(self)

    return run

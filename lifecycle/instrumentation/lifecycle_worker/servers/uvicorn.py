"""
uvicorn: alone, with `--workers` or `--reload`, and as gunicorn's worker.

A request or a WebSocket is in flight until the app has returned. After the drain start, each
response has `Connection: close`, and uvicorn closes the connection because of it. Responses to
requests that started before get the header at uvicorn's next tick, at most 0.1 s later. After the
settle time, idle connections are closed, WebSockets are closed with 1001, and event streams
are ended.

A worker that ends itself after `--limit-max-requests` cuts off clients that have connected and not
sent a request yet. No worker does this after the drain start, because it has only seconds left.

Not covered: HTTP/2 (zttp). Its clients get no notice.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident

from ..asgi import App, is_event_source
from ..board import DRAINING_AT, GO_AT
from ..connections import is_quiet, serves_on
from ..headers import CLOSE_BYTES
from ..long_lived import end_long_lived
from ..seams import needs, seam, wrap
from ..words import finds, of_scope
from ..worker import worker

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Any

SERVER = "uvicorn"


class _App(App):
    """An app whose requests are not counted individually before the drain start."""

    under_way: _UnderWay | None = None
    """The running requests, which are shown instead, once it serves."""

    def __call__(self, scope: Any, receive: Any, send: Any, *more: Any) -> Any:
        """Serve a request. This is not a coroutine, because that would double the cost."""
        if (
            self.under_way is None
            or worker.times[GO_AT]
            or worker.keeper != get_ident()
            or scope["type"] != "http"
            or is_event_source(scope)
        ):
            counted = super().__call__(scope, receive, send, *more)
            return self.under_way.knows(counted) if self.under_way is not None else counted
        worker.comes()
        return self.app(scope, receive, send, *more)


class _UnderWay:
    """
    The running requests of the servers in this thread, from the task sets that they keep.

    After the drain start, each request is counted, and requests that started before are counted
    until they are done.
    """

    def __init__(self) -> None:
        self.states: list[Any] = []
        self._counted: set[Any] = set()

    async def knows(self, served: Awaitable[None]) -> None:
        """Serve a counted request, and note that its task is counted."""
        task = sys.modules["asyncio"].current_task()
        self._counted.add(task)
        worker.forget(task)  # if it was created before the drain start, and starts now
        try:
            await served
        finally:
            self._counted.discard(task)

    def tasks(self) -> list[Any]:
        """Return the tasks that are not counted."""
        # A copy, because the parent's questions are answered in another thread.
        found = [task for state in self.states for task in state.tasks.copy()]
        all_of_them = [task for task in found if not task.done()]
        return [task for task in all_of_them if task not in self._counted]


_of_thread: dict[tuple[int, int], _UnderWay] = {}
"""By process and thread, because those of a fork are not its parent's."""


def patch_config(module: Any) -> None:
    """Count the requests of an app, in `uvicorn.config`."""
    needs(seam(module, "Config.load"), "loaded_app")

    def load(was: Any) -> Any:
        def load(self: Any) -> None:
            _load(self)
            was(self)
            self.loaded_app = _App(self.loaded_app, _abort, root_in_path=True)

        return load

    def init(was: Any) -> Any:
        def __init__(self: Any, *arguments: Any, **named: Any) -> None:  # noqa: N807 - it is one
            was(self, *arguments, **named)
            worker.expects(SERVER)  # many apps import uvicorn, and do not run it

        return __init__

    def load_app(was: Any) -> Any:
        def load_app(self: Any) -> Any:
            _load(self)
            return was(self)

        return load_app

    wrap(module, "Config.load", load)
    if hasattr(module.Config, "load_app"):  # which `uvicorn.run` calls before it runs a server
        wrap(module, "Config.load_app", load_app)
    wrap(module, "Config.__init__", init)


def patch_server(module: Any) -> None:
    """Report when it serves, and close idle connections, in `uvicorn.server`."""
    needs(seam(module, "Server.__init__"), "server_state", "started")
    needs(seam(module, "ServerState.__init__"), "connections", "tasks")
    needs(seam(module, "Server.on_tick"), "limit_max_requests")

    def serve(was: Any) -> Any:
        async def serve(self: Any, *arguments: Any, **named: Any) -> Any:
            _lead(self.config)
            return await was(self, *arguments, **named)

        return serve

    def start(was: Any) -> Any:
        async def startup(self: Any, *arguments: Any, **named: Any) -> None:
            await was(self, *arguments, **named)
            if self.started:
                import asyncio

                loop = asyncio.get_running_loop()
                _show(self)
                serves_on(loop, SERVER, lambda: _close_idle(self.server_state))

        return startup

    def tick(was: Any) -> Any:
        async def on_tick(self: Any, counter: int) -> bool:
            if worker.times[DRAINING_AT]:
                self.limit_max_requests = self.config.limit_max_requests = None
            if worker.times[GO_AT] and not worker.settled:
                _tell_begun(self.server_state)
            over: bool = await was(self, counter)
            return over

        return on_tick

    wrap(module, "Server.serve", serve)
    wrap(module, "Server.startup", start)
    wrap(module, "Server.on_tick", tick)


def patch_protocol(module: Any) -> None:
    """Check that idle connections can be recognized, in each HTTP/1 implementation."""
    for name in ("H11Protocol", "HttpToolsProtocol", "ZttpProtocol"):
        protocol = getattr(module, name, None)
        if protocol is not None:
            seam(protocol, "shutdown")
            needs(protocol.__init__, "timeout_keep_alive_task", "transport", "cycle")
            needs(seam(module, "RequestResponseCycle.send"), "default_headers")
            return
    seam(module, "H11Protocol")


def _show(server: Any) -> None:
    app = server.config.loaded_app
    if not isinstance(app, _App):
        return
    finds(sys.modules["asyncio"].Task, _of_task)
    app.under_way = _of_thread.setdefault((os.getpid(), get_ident()), _UnderWay())
    app.under_way.states.append(server.server_state)
    worker.keeps(app.under_way.tasks)


def _of_task(task: Any) -> Any:
    """Return the words of a request, which its protocol has in the first frame of its task."""
    return of_scope(task.get_coro().cr_frame.f_locals["self"].scope)


def _load(config: Any) -> None:
    if isinstance(config.app, str):
        _lead(config)
        worker.on_loading()


def _lead(config: Any) -> None:
    worker.leads(config, lambda: SERVER not in worker.failed)


def _abort(receive: Any, _send: Any) -> None:
    receive.__self__.transport.abort()


def _tell_begun(state: Any) -> None:
    """Add `Connection: close` to responses that have not started, of requests that have."""
    for protocol in tuple(state.connections):
        cycle: Any = getattr(protocol, "cycle", None)
        headers = getattr(cycle, "default_headers", None)
        if headers is not None and CLOSE_BYTES not in headers:
            cycle.default_headers = [*headers, CLOSE_BYTES]
            if not getattr(cycle, "response_started", True):
                worker.told_to_go()


def _close_idle(state: Any) -> None:
    end_long_lived()
    for protocol in tuple(state.connections):
        # Set once a response is complete, and taken back by the first byte of the next request.
        idle = getattr(protocol, "timeout_keep_alive_task", None) is not None
        if idle and is_quiet(protocol.transport):
            protocol.shutdown()

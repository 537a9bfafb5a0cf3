"""
waitress: threads that serve, and a loop that reads and writes.

A request is in flight from when it waits for a thread until its last byte is in the kernel. The
loop writes what a slow client has not accepted. The worker makes no progress while as many requests as
threads are running and none of them ends.

After the settle time, idle connections are closed in its loop, which turns at least once per
second. Event streams then end, each at its next event. waitress has no SIGTERM handler, so
SIGTERM ends it once nothing is in flight.
"""

from __future__ import annotations

from ..event_streams import asks_for_events
from ..seams import needs, seam, wrap
from ..unread import has_unread
from ..words import finds
from ..worker import worker
from ..wsgi import App

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NAME = "waitress"
UNSENT = "_lifecycle_unsent"
"""The attribute of a channel with the requests whose responses are made and not yet sent."""
ANSWERED = "_lifecycle_answered"
"""The attribute of a channel that shows whether a request on it was answered."""

servers: list[Any] = []
"""The servers of this process: one per address."""


def patch_task(module: Any) -> None:
    """Fix the decision to close when the header is made, and count requests given to a thread."""
    needs(seam(module, "Task.build_response_header"), "CONNECTION", "set_close_on_finish")

    def make_header(build: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
        def with_close(self: Any) -> bytes:
            if worker.draining:  # as if its client had asked for it
                self.request.headers["CONNECTION"] = "close"
                worker.told_to_go()
            return build(self)

        return with_close

    def make_add(add_task: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        def add(self: Any, task: Any) -> None:
            requests = getattr(task, "requests", None)
            if requests:
                worker.begin(requests[0])
            add_task(self, task)

        return add

    wrap(module, "Task.build_response_header", make_header)
    wrap(module, "ThreadedTaskDispatcher.add_task", make_add)


def patch_channel(module: Any) -> None:
    """Stop counting a request once its response is sent."""
    cls = seam(module, "HTTPChannel")
    needs(seam(cls, "service"), "requests", "close_on_finish")
    finds(seam(cls, "parser_class"), _of_parser)
    for name in ("handle_write", "handle_close", "total_outbufs_len"):
        if not hasattr(cls, name):
            seam(cls, name)

    def make_service(service: Callable[[Any], None]) -> Callable[[Any], None]:
        def serve(self: Any) -> None:
            request = self.requests[0]
            try:
                service(self)
            finally:
                setattr(self, ANSWERED, True)
                self.__dict__.setdefault(UNSENT, []).append(request)
                _end_what_is_sent(self)  # the loop may have sent it before we noted it

        return serve

    def make_loop(method: Callable[[Any], None]) -> Callable[[Any], None]:
        def on_loop(self: Any) -> None:
            method(self)
            _end_what_is_sent(self)

        return on_loop

    wrap(cls, "service", make_service)
    wrap(cls, "handle_write", make_loop)
    wrap(cls, "handle_close", make_loop)


def _of_parser(request: Any) -> Any:
    return request.command, request.path, request.headers.get("USER_AGENT", ""), request.version


def _end_what_is_sent(channel: Any) -> None:
    unsent = channel.__dict__.get(UNSENT)
    while unsent and not channel.total_outbufs_len:
        try:
            request = unsent.pop(0)
        except IndexError:  # the other thread was quicker
            return
        if worker.draining:
            agent, accept = (request.headers.get(each, "") for each in ("USER_AGENT", "ACCEPT"))
            events = asks_for_events(getattr(request, "command", ""), (accept,))
            path, peer = getattr(request, "path", ""), getattr(channel, "addr", None)
            worker.end_from(request, agent, path, sent_away=events, peer=peer)
        else:
            worker.end(request)


def patch_server(module: Any) -> None:
    """Report when it serves, and close idle connections at each turn of its loop."""
    base, several = seam(module, "BaseWSGIServer"), seam(module, "MultiSocketServer")
    seam(base, "run")
    seam(several, "run")
    needs(seam(base, "__init__"), "active_channels", "accept_connections", "application")

    def make_start(init: Callable[..., None]) -> Callable[..., None]:
        def start(self: Any, *args: Any, **kwargs: Any) -> None:
            worker.expects(NAME)  # before its port is open
            init(self, *args, **kwargs)
            self.application = App(self.application)
            servers.append(self)

        return start

    def make_run(run: Callable[[Any], None]) -> Callable[[Any], None]:
        def serve(self: Any) -> None:
            if worker.serves(NAME, capacity=self.adj.threads):
                worker.closes(_close_idle)
            run(self)

        return serve

    def make_turn(readable: Callable[[Any], bool]) -> Callable[[Any], bool]:
        def turn(self: Any) -> bool:
            worker.turn()
            return readable(self)

        return turn

    wrap(base, "__init__", make_start)
    wrap(base, "run", make_run)
    wrap(several, "run", make_run)
    wrap(base, "readable", make_turn)


def _close_idle() -> None:
    """Have the loop close idle connections without unread bytes."""
    for server in servers:
        for channel in list(server.active_channels.values()):
            at_work = channel.requests or channel.total_outbufs_len or channel.request is not None
            if at_work or ANSWERED not in channel.__dict__:
                continue
            if not has_unread(channel.socket.fileno()):
                channel.will_close = True

"""
A wrapper around an ASGI app, which counts requests, and closes connections in a drain.

After the drain start, each HTTP/1 response has `Connection: close`. `long_lived` ends WebSockets
and event streams.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from functools import partial

from .board import GO_AT
from .event_streams import EVENTS, asks_for_events
from .headers import CLOSE_BYTES, value_of, with_close
from .long_lived import EventStream, LongLived, WebSocket
from .worker import worker

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HELD = ("http", "websocket")
"""The keys of the requests in flight."""
BEGUN = ("lifespan.startup.complete", "lifespan.startup.failed")
START = "http.response.start"
NOBODY = ("", "", None)
_STREAM = EVENTS.encode()


def _marking() -> Callable[[Any], Any] | None:
    """
    Return the function that marks a function as a coroutine function, or None if nothing checks it.

    asgiref checks it, and warns. Apps that use asgiref import it themselves, and this is called
    later.
    """
    if "asgiref.sync" not in sys.modules:
        return None
    inspect: Any = sys.modules["inspect"]
    if hasattr(inspect, "markcoroutinefunction"):
        return inspect.markcoroutinefunction  # type: ignore[no-any-return]
    coroutines: Any = sys.modules["asyncio.coroutines"]

    def mark(function: Any) -> None:  # before Python 3.12
        function._is_coroutine = coroutines._is_coroutine  # noqa: SLF001 - as asgiref does

    return mark


class App:
    """
    A wrapper around an app.

    Args:
        app: The app. It is called with a scope, `receive`, `send`, and what the server adds.
        abort: Cuts the connection of the server's own `receive` and `send`. It is not called over
            HTTP/2, where other requests use the connection. None if the server cannot do this.
        tells_http2: Whether HTTP/2 clients get a GOAWAY. If not, they continue to send requests,
            and these do not count as arrivals. Otherwise the drain would wait until its deadline.
        root_in_path: Whether the server puts `root_path` before the requested path.
    """

    def __init__(
        self,
        app: Any,
        abort: Callable[[Any, Any], object] | None = None,
        *,
        tells_http2: bool = False,
        root_in_path: bool = False,
    ) -> None:
        self.app = app
        self._abort = abort
        self._tells_http2 = tells_http2
        self._root_in_path = root_in_path
        self._mark = _marking()

    def __getattr__(self, name: str) -> Any:
        if name == "app":  # while it is copied
            raise AttributeError(name)
        return getattr(self.app, name)

    async def __call__(self, scope: Any, receive: Any, send: Any, *more: Any) -> None:
        kind = scope["type"]
        if kind not in HELD or worker.slot is None:
            begin = self._begin if kind == "lifespan" else self.app
            await begin(scope, receive, send, *more)
            return
        times = worker.times

        # Not a coroutine function, because that would double the cost of every message.
        def answer(message: Any) -> Any:
            if times[GO_AT] and message["type"] == START:
                message = _last(message, scope)
            return send(message)

        if self._mark is not None:
            self._mark(answer)
        endless = kind == "websocket" or is_event_source(scope)
        if endless or times[GO_AT] or worker.keeper != get_ident():
            long = self._long_lived(scope, receive, send, answer) if endless else None
            await self._count(long, answer, scope, receive, *more)
            return
        under_way = worker.under_way
        under_way.add(answer)
        try:
            if more:
                await self.app(scope, receive, answer, *more)
            else:  # the same, in half the time
                await self.app(scope, receive, answer)
        finally:
            under_way.discard(answer)
            worker.comes()
            if times[GO_AT]:  # it started before, so it is not an arrival
                worker.forget(answer)

    async def _count(
        self, long: LongLived | None, answer: Any, scope: Any, receive: Any, *more: Any
    ) -> None:
        """Serve a request that is counted individually: in a drain all, else long-lived ones."""
        times = worker.times
        worker.begin(answer)
        # Read now, because the app may change its scope. Earlier requests are not arrivals.
        agent, path, peer = self._asked(scope) if times[GO_AT] else NOBODY
        try:
            if long is not None:
                await long.run(self.app, scope, *more)
            else:
                await self.app(scope, receive, answer, *more)
        finally:
            if times[GO_AT]:
                vain = scope.get("http_version", "1.1") >= "2" and not self._tells_http2
                sent_away = vain or (long is not None and long.sent_away)
                worker.end_from(answer, agent, path, sent_away=sent_away, peer=peer)
            else:
                worker.end(answer)

    def _long_lived(self, scope: Any, receive: Any, send: Any, answer: Any) -> LongLived:
        websocket = scope["type"] == "websocket"
        long = WebSocket(receive, send) if websocket else EventStream(receive, answer)
        if self._abort is not None and scope.get("http_version", "1.1") < "2":
            long.abort = partial(self._abort, receive, send)
        return long

    def _asked(self, scope: Any) -> tuple[str, str, Any]:
        path, root = scope.get("path", ""), scope.get("root_path", "")
        if self._root_in_path and root and path.startswith(root):
            path = path[len(root) :]
        return value_of(scope["headers"], "user-agent"), path, scope.get("client")

    async def _begin(self, scope: Any, receive: Any, send: Any, *more: Any) -> None:
        begins = True

        def has_begun() -> None:
            nonlocal begins
            if begins:
                begins = False
                worker.has_begun()

        def told(message: Any) -> Any:
            if message["type"] in BEGUN:
                has_begun()
            return send(message)

        worker.begins()
        try:
            await self.app(scope, receive, told, *more)
        finally:
            has_begun()


def _last(message: Any, scope: Any) -> Any:
    if scope.get("http_version", "1.1") >= "2":
        return message
    worker.told_to_go()
    return dict(message, headers=with_close(message.get("headers", ()), CLOSE_BYTES))


def is_event_source(scope: Any) -> bool:
    """Return whether a request comes from an `EventSource`."""
    headers = scope["headers"]
    for name, value in headers:  # most requests end here
        if name == b"accept" and len(value) >= len(_STREAM) and _STREAM in value.lower():
            break
    else:
        return False
    accept = [value.decode("latin-1") for name, value in headers if name == b"accept"]
    return asks_for_events(scope.get("method", ""), accept)

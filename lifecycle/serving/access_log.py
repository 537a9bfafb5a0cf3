"""
The access log of `lifecycle run --asgi --access-log`: one log event for each request.

Clients choose the method and the path. So both are shortened, and kept on one line. The query of a
request is left out, because it may contain secrets.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from lifecycle.log import Log
from lifecycle.plain import one_line

PATH_LENGTH: Final = 300
"""Characters of a path that are shown."""
WORD_LENGTH: Final = 60
"""Characters of a method or an address that are shown. A proxy may put any text there."""
ACCEPTED: Final = 101
REJECTED: Final = 403
"""The statuses of WebSockets that the app accepts or rejects."""
FAILED: Final = 500
"""The status that the server sends if the app has raised or returned before its answer."""


class AccessLog:
    """
    ASGI middleware that logs each request and each WebSocket when it has ended.

    Args:
        app: The ASGI app.
        log: The log. It must have its own queue, so that many requests cannot push out events of
            a drain.
    """

    def __init__(self, app: Any, log: Log) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        seen = _Seen(send)
        # Now, because the app may change its scope.
        client, method, protocol = _client(scope), _method(scope), _protocol(scope)
        path = _word(scope.get("path"), PATH_LENGTH)
        cut_off = False
        try:
            await self._app(scope, receive, seen.send)
        except asyncio.CancelledError:
            cut_off = True
            raise
        finally:
            self._log.info(
                "request",
                client=client,
                method=method,
                path=path,
                status=seen.status if cut_off else seen.status or FAILED,
                ms=seen.milliseconds(),
                protocol=protocol,
                **({"cut_off": True} if cut_off else {}),
            )


class _Seen:
    """The status of one response, and its end."""

    __slots__ = ("_began", "_ended", "_send", "status")

    def __init__(self, send: Any) -> None:
        self.status: int | None = None
        self._send = send
        self._began = time.monotonic()
        self._ended = 0.0

    async def send(self, message: Any) -> None:
        kind = message["type"]
        if kind == "http.response.body":
            if not message.get("more_body"):
                self._ended = time.monotonic()
        elif kind in ("http.response.start", "websocket.http.response.start"):
            self.status = message["status"]
        elif kind == "websocket.accept":
            self.status = ACCEPTED
        elif kind == "websocket.close" and self.status is None:
            self.status = REJECTED
        await self._send(message)

    def milliseconds(self) -> float:
        """Return the time until the whole answer was given, or until now."""
        return round(((self._ended or time.monotonic()) - self._began) * 1000, 1)


def _client(scope: Any) -> str:
    client = scope.get("client")
    if not client:
        return "unix socket"
    host, port = (*client, "", "")[:2]
    shown = _word(host, WORD_LENGTH)
    return f"[{shown}]:{port}" if ":" in shown else f"{shown}:{port}"


def _method(scope: Any) -> str:
    return "WebSocket" if scope["type"] == "websocket" else _word(scope.get("method"), WORD_LENGTH)


def _protocol(scope: Any) -> str:
    if scope["type"] == "websocket":
        return "websocket"
    return f"http/{_word(scope.get('http_version'), WORD_LENGTH)}"


def _word(value: Any, most: int) -> str:
    return one_line(value[:most]) if isinstance(value, str) else ""

"""
A wrapper around a WSGI app: after the settle time, its event streams end at the next event.

A stream that waits for an event cannot be ended, because its thread belongs to the app. The app's
`close` is called as if the client had gone.
"""

from __future__ import annotations

from .event_streams import EVENTS, asks_for_events
from .headers import say_endless
from .worker import worker

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


class App:
    """
    A wrapper around an app.

    Args:
        app: The WSGI app.
    """

    def __init__(self, app: Callable[..., Any]) -> None:
        self.app = app

    def __getattr__(self, name: str) -> Any:
        if name == "app":  # while it is copied
            raise AttributeError(name)
        return getattr(self.app, name)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if not asks(environ):
            return self.app(environ, start_response)
        kinds: list[bool] = []

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            kinds.append(say_endless(headers))
            if exc_info is None:  # the server may have another name for it
                return start_response(status, headers)
            return start_response(status, headers, exc_info)

        body = self.app(environ, start)
        # A generator that is an app calls `start` only when it is asked for its first piece.
        return body if kinds and not kinds[-1] else Events(body, kinds)


def asks(environ: dict[str, Any]) -> bool:
    """Return whether a request comes from an `EventSource`, which reconnects after the end."""
    accept = environ.get("HTTP_ACCEPT")
    # Most requests end here.
    if not accept or len(accept) < len(EVENTS) or EVENTS not in accept.lower():
        return False
    return asks_for_events(environ.get("REQUEST_METHOD", ""), (accept,))


class Events:
    """
    A response body. If it is endless, it ends between two pieces after the settle time.

    Args:
        body: The app's body.
        kinds: Whether it is endless. Empty until the app has sent its headers.
    """

    def __init__(self, body: Any, kinds: list[bool]) -> None:
        self._body = body
        self._kinds = kinds
        self._iterator = iter(body)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        """Return the next piece."""
        if self._kinds and self._kinds[-1] and worker.settled:
            raise StopIteration
        return next(self._iterator)

    def close(self) -> None:
        """Close the app's body."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()

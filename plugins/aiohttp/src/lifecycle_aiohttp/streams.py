"""Server-sent events: a stream is ended between two of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

EVENTS = "text/event-stream"


class EventStream:
    """A response to an EventSource, which connects again when its stream has ended."""

    def __init__(self) -> None:
        self._limit = asyncio.timeout(None)
        self._response: web.StreamResponse | None = None

    async def run(self, handler: Handler, request: web.Request) -> web.StreamResponse:
        """Have the handler answer; `end` cancels it."""
        try:
            async with self._limit:
                return await handler(request)
        except TimeoutError:
            if self._response is None or not self._limit.expired():
                raise
            return self._response  # its end is written as if the handler had returned

    def begin(self, response: web.StreamResponse, *, settled: bool) -> None:
        """Take note of what the handler answers; another response than events is left alone."""
        if response.content_type == EVENTS:
            self._response = response
            if settled:
                self.end()

    def end(self) -> None:
        """End it now."""
        if self._response is not None:
            self._limit.reschedule(asyncio.get_running_loop().time())


def is_event_source(request: web.Request) -> bool:
    """Tell whether an EventSource asks: with GET, and for events only."""
    return request.method == hdrs.METH_GET and request.headers.get(hdrs.ACCEPT) == EVENTS

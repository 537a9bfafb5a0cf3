"""Ends a stream of server-sent events between two events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from lifecycle.event_streams import STREAM_HEADER, asks_for_events, is_endless

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class EventStream:
    """A response to an EventSource, which reconnects when its stream has ended."""

    def __init__(self) -> None:
        self._limit = asyncio.timeout(None)
        self._response: web.StreamResponse | None = None

    async def run(self, handler: Handler, request: web.Request) -> web.StreamResponse:
        """Run the handler. `end` cancels it."""
        try:
            async with self._limit:
                return await handler(request)
        except TimeoutError:
            if self._response is None or not self._limit.expired():
                raise
            return self._response  # the end is written as if the handler had returned

    def begin(self, response: web.StreamResponse, *, settled: bool) -> None:
        """Store the response of the handler. A stream that ends by itself is ignored."""
        if goes_on(response):
            self._response = response
            if settled:
                self.end()

    def end(self) -> None:
        """End the stream now."""
        if self._response is not None:
            self._limit.reschedule(asyncio.get_running_loop().time())


def is_event_source(request: web.Request) -> bool:
    """Return True for a request of an EventSource, which reconnects after the end."""
    return asks_for_events(request.method, request.headers.getall(hdrs.ACCEPT, ()))


def goes_on(response: web.StreamResponse) -> bool:
    """Return True if a response is an event stream that does not end by itself."""
    headers = response.headers
    return is_endless(headers.get(hdrs.CONTENT_TYPE, ""), headers.get(STREAM_HEADER, ""))

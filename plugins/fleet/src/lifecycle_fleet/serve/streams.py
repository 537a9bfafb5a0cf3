"""
`/events`: the live stream over HTTP, as server-sent events.

A reader must send `Accept: text/event-stream`. By this header, pod-lifecycle knows that the stream has
no end, and ends it in a drain. Otherwise one reader could make each drain last until its deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from lifecycle_fleet.serve.access import Access
from lifecycle_fleet.serve.answers import (
    INERT,
    NO_STORE,
    Receive,
    Scope,
    Send,
    header,
    refused,
    start,
)
from lifecycle_fleet.serve.feed import Feed, event

MOST: Final = 500
"""Streams at a time."""
EVENTS: Final = "text/event-stream"
FULL: Final = refused(503, "Too many readers. Try again", (b"retry-after", b"5"))
UNNAMED: Final = refused(
    406, "This path is a live stream. Send the header Accept: text/event-stream"
)
CHECK: Final = 30.0
"""Seconds after which the right of a reader is checked again."""


class Streams:
    """
    The streams.

    Args:
        feed: The events.
        access: The check of tokens. None if each client may read.
    """

    def __init__(self, feed: Feed, access: Access | None) -> None:
        self._feed = feed
        self._access = access
        self._open = 0

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with a stream, until its reader or its right to read is gone."""
        head = scope["method"] == "HEAD"
        if not _accepts_events(scope):
            await UNNAMED.send(send, head=head)
            return
        if self._open >= MOST:
            await FULL.send(send, head=head)
            return
        self._open += 1
        try:
            await self._stream(scope, receive, send, head=head)
        finally:
            self._open -= 1

    async def _stream(self, scope: Scope, receive: Receive, send: Send, *, head: bool) -> None:
        # Proxies must not collect the events.
        await start(send, 200, EVENTS, (NO_STORE, INERT, (b"x-accel-buffering", b"no")))
        if head:
            await send({"type": "http.response.body", "body": b""})
            return
        writing = asyncio.create_task(self._write(scope, send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({writing, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, gone):
                task.cancel()
            await asyncio.wait({writing, gone})
        with contextlib.suppress(asyncio.CancelledError, OSError):  # the reader has gone
            writing.result()

    async def _write(self, scope: Scope, send: Send) -> None:
        async with aclosing(self._allowed(scope)) as parts:
            async for part in parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _allowed(self, scope: Scope) -> AsyncGenerator[bytes, None]:
        """Yield the events as long as the reader may read."""
        clock = asyncio.get_running_loop().time
        authorization, checked = header(scope, b"authorization"), clock()
        async with aclosing(self._feed.stream(header(scope, b"last-event-id"))) as events:
            async for each in events:
                if self._access is not None and clock() - checked > CHECK:
                    status, text = await self._access.check(authorization)
                    if status in (401, 403):
                        yield event("denied", {"reason": text})
                        return
                    checked = clock()
                yield each


def _accepts_events(scope: Scope) -> bool:
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"]
    named = (each.partition(";")[0].strip().lower() for each in ",".join(values).split(","))
    return EVENTS in named


async def _gone(receive: Receive) -> None:
    with contextlib.suppress(Exception):  # a server that has closed the connection already
        while (await receive())["type"] != "http.disconnect":
            pass

"""A request over HTTP/2, and its response: received bytes, and bytes still to send."""

from __future__ import annotations

import asyncio

from lifecycle.serving.hypercorn import HTTPStream, WSStream
from lifecycle.serving.receive_queue import ReceiveQueue


class Stream:
    """A request and its response."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.queue: ReceiveQueue | None = None
        self.asgi: HTTPStream | WSStream | None = None
        self.outgoing = bytearray()
        self.trailers: list[tuple[bytes, bytes]] | None = None
        self.came = False  # some of the body has come
        self.heard = False  # the client has said all
        self.begun = False  # the answer's head has left
        self.said = False  # the app has said all
        self.sent = False  # and all has left
        self.leaves = False  # the app has returned, or closed a WebSocket
        self.taken_back = False  # by its client: the app need not begin
        self.over = False  # nothing more is said
        self.room = asyncio.Event()

    @property
    def waits(self) -> bool:
        """True if there is something to send."""
        return not self.sent and (bool(self.outgoing) or self.said)

    @property
    def open(self) -> bool:
        """True as long as the stream counts towards the client's limit."""
        return not (self.sent and self.heard)

    def discard(self) -> None:
        """Throw away what the app has not read, and what still arrives."""
        if self.queue is not None:
            self.queue.discard()

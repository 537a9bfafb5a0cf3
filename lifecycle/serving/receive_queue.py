"""
The body of a request, or the messages of a WebSocket, until the app asks for them.

Rules of this file:

1. What is over never holds anybody: once the request is answered, its app has returned or its
   client is gone, `put` throws away and returns at once, and `get` gives the disconnect.
2. What waits is bounded by bytes, and not by messages: the parts of a body that nobody has
   read yet are one part, however small they came.
3. Over HTTP/1.1 and for WebSockets who puts waits for room, so that nothing more is read or
   unpacked. For a body over HTTP/2 nobody waits, since other streams come the same way: there
   the windows of flow control are the bound, and `taken` says which bytes have made room.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

Message = dict[str, Any]

MOST: Final = 64 * 1024
"""Bytes that wait for an app, beside the part that came last."""
OVERHEAD: Final = 256
"""Bytes that a message of a WebSocket is counted for beside its own."""
NORMAL_CLOSURE: Final = 1000
SLICE: Final = 8 * 1024
"""Bytes of a WebSocket taken at once: they may be compressed a thousand times."""

_NONE: Final[deque[Message]] = deque(maxlen=0)


class ReceiveQueue:
    """
    One request's messages.

    Args:
        kind: "http" or "websocket".
        most: Bytes that may wait before `put` does; None: `put` never waits.
        asked: Called once, when the app asks for what has not come yet.
        taken: Told how many of the bytes that were `charge`d are out of the way.
    """

    def __init__(
        self,
        kind: str,
        *,
        most: int | None = MOST,
        asked: Callable[[], Awaitable[None]] | None = None,
        taken: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.over = False
        self._last: Message = {"type": f"{kind}.disconnect"}
        if kind == "websocket":
            self._last["code"] = NORMAL_CLOSURE
        self._most = most
        self._asked = asked
        self._taken = taken
        self._messages: deque[Message] = _NONE if kind == "http" else deque()
        self._body = bytearray()
        self._whole = self._told_whole = False
        self._size = self._charged = 0
        self._arrived: asyncio.Event | None = None
        self._room: asyncio.Event | None = None

    @property
    def empty(self) -> bool:
        """True if nothing waits for the app but the disconnect."""
        return not self._messages and not self._body

    @property
    def size(self) -> int:
        """Bytes that wait for the app."""
        return self._size

    async def put(self, message: Message) -> None:
        """Add a message; waits for room, unless the request is over."""
        kind = message["type"]
        if kind == self._last["type"]:
            self.disconnect(message)
            return
        if self.over:
            return
        if kind == "http.request":
            self._body += message["body"]
            self._whole = not message["more_body"]
            self._size = len(self._body)
        else:
            self._messages.append(message)
            self._size += _size(message)
        self._tell()
        if self._most is not None and self._size > self._most:
            self._room = self._room or asyncio.Event()
            self._room.clear()
            await self._room.wait()

    async def get(self) -> Message:
        """Return the next message: ASGI's `receive`."""
        while True:
            if self._messages:
                message = self._messages.popleft()
                self._size -= _size(message)
                self._make_room()
                return message
            if self._body or (self._whole and not self._told_whole):
                body, self._body = bytes(self._body), bytearray()
                self._size, self._told_whole = 0, self._whole
                self._make_room()
                return {"type": "http.request", "body": body, "more_body": not self._whole}
            if self.over:
                await asyncio.sleep(0)  # an app that asks again and again holds nobody up
                return self._last
            if self._asked is not None:
                asked, self._asked = self._asked, None
                await asked()
                continue
            self._arrived = self._arrived or asyncio.Event()
            self._arrived.clear()
            await self._arrived.wait()

    def charge(self, size: int) -> None:
        """Have `taken` told of so many bytes once nothing waits any more: at once, if so now."""
        self._charged += size
        self._settle()

    def disconnect(self, message: Message | None = None) -> None:
        """Take nothing more: the client is gone. What is there may still be read."""
        if not self.over:
            self.over = True
            self._last = message or self._last
        self._tell()
        self._make_room()

    def discard(self) -> None:
        """Take nothing more, and throw away what is there: the request is answered."""
        self._messages.clear()
        self._body.clear()
        self._size, self._told_whole = 0, True
        self.disconnect()

    def _tell(self) -> None:
        if self._arrived is not None:
            self._arrived.set()

    def _make_room(self) -> None:
        self._settle()
        if self._room is not None and (self.over or self._most is None or self._size <= self._most):
            self._room.set()

    def _settle(self) -> None:
        if self._charged and self.empty:
            charged, self._charged = self._charged, 0
            self._taken(charged)


def memory(data: bytes | str) -> int:
    """Return how many bytes of memory it takes: with one odd character, a text may take four each."""
    return len(data) if isinstance(data, bytes) or data.isascii() else sys.getsizeof(data)


def _size(message: Message) -> int:
    return OVERHEAD + memory(message.get("bytes") or message.get("text") or "")

"""
The body of a request, or the messages of a WebSocket, until the app asks for them.

Rules of this file:

1. After the end of a request, nothing blocks. Once it is answered, its app has returned, or its
   client is gone, `put` throws its message away and returns at once, and `get` returns the
   disconnect.
2. The limit counts bytes, not messages. Unread parts of a body are merged into one, however small
   they arrived.
3. Over HTTP/1.1 and for WebSockets, `put` waits for room, so that nothing more is read or
   decompressed. For a body over HTTP/2 it does not wait, because other streams use the same
   connection. There, the windows of flow control are the limit, and `taken` reports the bytes that
   have made room.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

Message = dict[str, Any]

MOST: Final = 64 * 1024
"""Bytes that may wait for an app, not counting the last part."""
OVERHEAD: Final = 256
"""Bytes that are counted for each WebSocket message in addition to its own."""
NORMAL_CLOSURE: Final = 1000
SLICE: Final = 8 * 1024
"""Bytes of a WebSocket to process at once, because compression may be a thousandfold."""

_NONE: Final[deque[Message]] = deque(maxlen=0)


class ReceiveQueue:
    """
    The messages of one request.

    Args:
        kind: "http" or "websocket".
        most: Bytes that may wait before `put` waits, or None if `put` never waits.
        asked: Called once, when the app asks for a part that has not arrived yet.
        taken: Called with the number of `charge`d bytes that are processed.
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
        """True if nothing but the disconnect waits for the app."""
        return not self._messages and not self._body

    @property
    def size(self) -> int:
        """Bytes that wait for the app."""
        return self._size

    async def put(self, message: Message) -> None:
        """Add a message. Waits for room, unless the request is over."""
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
        """Return the next message, as ASGI's `receive`."""
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
                await asyncio.sleep(
                    0
                )  # so that an app that asks repeatedly does not block the loop
                return self._last
            if self._asked is not None:
                asked, self._asked = self._asked, None
                await asked()
                continue
            self._arrived = self._arrived or asyncio.Event()
            self._arrived.clear()
            await self._arrived.wait()

    def charge(self, size: int) -> None:
        """Pass a number of bytes to `taken` once nothing waits any more, perhaps at once."""
        self._charged += size
        self._settle()

    def disconnect(self, message: Message | None = None) -> None:
        """Accept no more messages, because the client is gone. Stored ones can still be read."""
        if not self.over:
            self.over = True
            self._last = message or self._last
        self._tell()
        self._make_room()

    def discard(self) -> None:
        """Accept no more messages, and drop the stored ones, because the request is answered."""
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
    """Return the bytes of memory of a message. One wide character can quadruple a text."""
    return len(data) if isinstance(data, bytes) or data.isascii() else sys.getsizeof(data)


def _size(message: Message) -> int:
    return OVERHEAD + memory(message.get("bytes") or message.get("text") or "")

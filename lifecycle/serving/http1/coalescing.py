"""The head of an answer and the beginning of its body, sent as one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from lifecycle.serving.hypercorn import RawData, WireEvent


class Coalescer:
    """
    Holds the head of an answer back until its body comes, for a turn of the loop at most.

    Args:
        send: Takes what is to be written, and that the connection is to end.
        write_now: Writes at once, without waiting for the client.
    """

    def __init__(
        self, send: Callable[[WireEvent], Awaitable[None]], write_now: Callable[[bytes], None]
    ) -> None:
        self._send = send
        self._write_now = write_now
        self._head: bytes | None = None

    def expect_head(self) -> None:
        """Take what is sent next for a head."""
        self._head = b""

    async def send(self, event: WireEvent) -> None:
        """Send; behind the head that waits, if there is one."""
        head, self._head = self._head, None
        if head is None:
            await self._send(event)
        elif head == b"" and type(event) is RawData:
            self._head = event.data
            asyncio.get_running_loop().call_soon(self._part)
        elif type(event) is RawData:
            await self._send(RawData(head + event.data))
        else:
            await self._send(RawData(head))
            await self._send(event)

    def _part(self) -> None:
        """Send the head alone: its app takes its time."""
        head, self._head = self._head, None
        if head:
            self._write_now(head)

"""Sending the head of a response and the start of its body in one packet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from lifecycle.serving.hypercorn import RawData, WireEvent


class Coalescer:
    """
    Delays the head of a response until its body arrives, for at most one turn of the loop.

    Args:
        send: Receives bytes to write, and the end of the connection.
        write_now: Writes at once, without waiting for the client.
    """

    def __init__(
        self, send: Callable[[WireEvent], Awaitable[None]], write_now: Callable[[bytes], None]
    ) -> None:
        self._send = send
        self._write_now = write_now
        self._head: bytes | None = None

    def expect_head(self) -> None:
        """Treat the next bytes as a head."""
        self._head = b""

    async def send(self, event: WireEvent) -> None:
        """Send bytes, after the delayed head if there is one."""
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
        """Send the head alone, because the app needs more time."""
        head, self._head = self._head, None
        if head:
            self._write_now(head)

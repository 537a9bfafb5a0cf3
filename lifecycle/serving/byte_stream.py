"""
The byte stream of a connection. Every wait for the peer has a time limit.

Rules of this file:

1. If a peer accepts nothing for `patience` seconds, the connection is cut, in the middle of a
   response and at its end. A slow peer that accepts something is not cut.
2. No code waits for the peer's close. After a close, the closing code continues, and bytes that
   were sent last still leave. TLS cannot close one direction only. Its peer therefore has `GOODBYE`
   seconds to close too, after it has received everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import select
import socket
import struct
import termios
from collections.abc import Callable
from typing import Any, Final, cast

GOODBYE: Final = 0.5
"""Seconds for a peer to close its side after it has received everything."""


class Reader(asyncio.StreamReader):
    """
    The bytes that arrive from one peer.

    Attributes:
        unread: The number of bytes that have arrived and that `read` has not returned.
    """

    unread = 0

    def feed_data(self, data: Any) -> None:
        """Store arrived bytes."""
        self.unread += len(data)
        super().feed_data(data)

    async def read(self, n: int = -1) -> bytes:
        """Return 1 to `n` bytes, or no bytes at the end of the stream."""
        data = await super().read(n)
        self.unread -= len(data)
        return data


class StreamProtocol(asyncio.StreamReaderProtocol):
    """A protocol that reports the end of the peer's stream, and the loss of the connection."""

    def __init__(self, reader: Reader, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(reader, loop=loop)
        self.when_lost: list[Callable[[], object]] = []
        self.when_over: Callable[[], object] = lambda: None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport. Over TLS it arrives at the end of the handshake."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's class is not a subclass
        super().connection_made(transport)

    def eof_received(self) -> bool | None:
        """Report the end of the peer's stream, even if it is not being read."""
        stays_open = super().eof_received()
        self.when_over()
        return stays_open

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the loss of the connection, after the stream itself has handled it."""
        if exc is not None:
            exc.with_traceback(None)  # its frames hold all that have written or read here
        super().connection_lost(exc)
        self.when_over()
        for tell in self.when_lost:
            tell()
        self.when_lost.clear()


class Writer(asyncio.StreamWriter):
    """
    The bytes that are sent to one peer.

    Args:
        transport: The transport.
        protocol: Its protocol. The end of the connection also ends every wait for the peer.
        reader: The other direction.
        patience: Seconds within which the peer must accept some of the waiting bytes.
        closing: Called once, when the connection is closed.
    """

    def __init__(
        self,
        transport: asyncio.WriteTransport,
        protocol: StreamProtocol,
        reader: Reader,
        *,
        patience: float,
        closing: Callable[[], object],
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(transport, protocol, reader, loop)
        self._clock = loop.time
        self._call_later = loop.call_later
        self.patience = patience
        self._when_closing: Callable[[], object] | None = closing
        self._when_lost = protocol.when_lost

    async def drain(self) -> None:
        """
        Wait until the peer has accepted enough bytes.

        Raises:
            ConnectionError: The peer is gone, or has accepted nothing for too long.
        """
        if not self.transport.get_write_buffer_size():
            await super().drain()
            return
        before = self.untaken()
        while True:
            try:
                async with asyncio.timeout(self.patience) as limit:
                    await super().drain()
                    return
            except TimeoutError:
                if not limit.expired():
                    raise
            left = self.untaken()
            if left == before:
                self.transport.abort()
                raise ConnectionAbortedError("the peer has stopped reading")
            before = left

    def close(self) -> None:
        """Close the connection. Bytes that were sent before still leave, within `patience`."""
        if self._when_closing is None:
            return
        self._when_closing()
        self._when_closing = None
        lost = self.transport.is_closing()
        super().close()
        if not lost and (self.get_extra_info("sslcontext") or self.untaken()[0]):
            self._look(self.untaken(), self._clock())

    async def wait_closed(self) -> None:
        """Return at once, because no code waits for the peer's close."""

    def _look(self, before: tuple[int, int], taken_at: float) -> None:
        def look() -> None:
            left = self.untaken()
            since = taken_at if left == before else self._clock()
            if not any(left) or self._clock() - since >= self.patience:
                self.transport.abort()
            else:
                self._look(left, since)

        handle = self._call_later(GOODBYE, look)
        self._when_lost.append(handle.cancel)

    def untaken(self) -> tuple[int, int]:
        """Return how many bytes the peer has not accepted: those here, and those in the kernel."""
        return untaken(self.transport)


def untaken(transport: asyncio.WriteTransport) -> tuple[int, int]:
    """Return how many bytes of a transport the peer has not accepted: here, and in the kernel."""
    sock = transport.get_extra_info("socket")
    in_kernel = 0
    with contextlib.suppress(OSError, ValueError):  # closed meanwhile
        queue = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4)
        in_kernel = struct.unpack("i", queue)[0]
    return transport.get_write_buffer_size(), in_kernel


def is_readable(sock: Any) -> bool:
    """Return whether a socket has bytes, or its end, to read. A closed socket has none."""
    descriptor = sock.fileno()
    if descriptor == -1:
        return False
    look = select.poll()
    look.register(descriptor, select.POLLIN)
    return bool(look.poll(0))


def has_sent(sock: socket.socket) -> bool:
    """Return whether a socket has unread bytes. A closed peer sends no more."""
    try:
        return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except OSError:
        return False

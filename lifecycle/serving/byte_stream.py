"""
The byte stream below one connection: no wait on the peer is without a bound of ours.

Rules of this file:

1. A peer that takes nothing for `patience` seconds is cut, in the middle of a response and
   at its end. One that is slow, and takes something, is not.
2. Nobody waits for a goodbye. Once a connection is closed, whoever has closed it goes on; what
   was sent last still leaves. TLS cannot close one half, so its peer has `GOODBYE` seconds to
   say goodbye too once it has everything.
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
"""Seconds that a peer has to close its side once it has all that was sent."""


class Reader(asyncio.StreamReader):
    """
    What comes from one peer.

    Attributes:
        unread: Bytes that have come and that `read` has not returned.
    """

    unread = 0

    def feed_data(self, data: Any) -> None:
        """Take what has come."""
        self.unread += len(data)
        super().feed_data(data)

    async def read(self, n: int = -1) -> bytes:
        """Return up to `n` bytes, more than 0; none once the peer has said all."""
        data = await super().read(n)
        self.unread -= len(data)
        return data


class StreamProtocol(asyncio.StreamReaderProtocol):
    """Tells when its peer has said all, and when its connection is lost and its socket closed."""

    def __init__(self, reader: Reader, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(reader, loop=loop)
        self.when_lost: list[Callable[[], object]] = []
        self.when_over: Callable[[], object] = lambda: None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport: over TLS it comes with the end of the handshake."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        super().connection_made(transport)

    def eof_received(self) -> bool | None:
        """Tell that nothing more comes, also while nobody reads."""
        stays_open = super().eof_received()
        self.when_over()
        return stays_open

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell it, after the stream itself."""
        if exc is not None:
            exc.with_traceback(None)  # its frames hold all that have written or read here
        super().connection_lost(exc)
        self.when_over()
        for tell in self.when_lost:
            tell()
        self.when_lost.clear()


class Writer(asyncio.StreamWriter):
    """
    What is sent to one peer.

    Args:
        transport: Where to.
        protocol: Whose end ends the wait for the peer.
        reader: The other direction.
        patience: Seconds in which the peer must take something of what waits for it.
        closing: Called once, when it is closed.
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
        Wait until the peer has taken enough.

        Raises:
            ConnectionError: It is gone, or has taken nothing for too long.
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
        """Close it: what was sent still leaves, in its time."""
        if self._when_closing is None:
            return
        self._when_closing()
        self._when_closing = None
        lost = self.transport.is_closing()
        super().close()
        if not lost and (self.get_extra_info("sslcontext") or self.untaken()[0]):
            self._look(self.untaken(), self._clock())

    async def wait_closed(self) -> None:
        """Return at once: the peer's goodbye is nothing to wait for."""

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
        """Return how many bytes the peer has not taken: still here, and in the kernel."""
        return untaken(self.transport)


def untaken(transport: asyncio.WriteTransport) -> tuple[int, int]:
    """Return how many bytes of a transport its peer has not taken: still here, and in the kernel."""
    sock = transport.get_extra_info("socket")
    in_kernel = 0
    with contextlib.suppress(OSError, ValueError):  # closed meanwhile
        queue = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4)
        in_kernel = struct.unpack("i", queue)[0]
    return transport.get_write_buffer_size(), in_kernel


def is_readable(sock: Any) -> bool:
    """Tell whether something has come on a socket, be it its end; False once it is closed."""
    descriptor = sock.fileno()
    if descriptor == -1:
        return False
    look = select.poll()
    look.register(descriptor, select.POLLIN)
    return bool(look.poll(0))


def has_sent(sock: socket.socket) -> bool:
    """Tell whether bytes have come that nobody has read; a client that is gone sends no more."""
    try:
        return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except OSError:
        return False

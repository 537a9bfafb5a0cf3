"""
A TCP connection that notes when and how the server ended it.

The client sees this on Linux (each line was measured with a server that behaves that way):

    the listener closes, the connection is still in its queue  RST
    the server closes or dies with unread bytes                RST
    the server closes or dies (SIGKILL, exit), all bytes read  FIN
    the server closes, and the request arrives later           FIN; RST once it arrives
    the server answers, and closes with unread bytes           the answer, then RST

A RST therefore means that the request was not read, or not all of it. After a FIN, the number of
acknowledged bytes shows whether the request had arrived: a closed socket acknowledges nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import socket
import sys
import time
from typing import Final, Self

from lifecycle.rehearsal.measuring.losses import Cause, Lost
from lifecycle.testing import Endpoint

OWN_ERRORS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS})
"""Errors of connecting that mean that this side has no more descriptors or ports."""
BUFFERED: Final = 65536
"""Bytes that may wait here for the kernel before a sender has to wait."""
TCP_INFO: Final = getattr(socket, "TCP_INFO", None)
ACKNOWLEDGED: Final = slice(120, 128)
"""The offset of `tcpi_bytes_acked` in TCP_INFO (linux/tcp.h). The SYN counts as one byte."""


class OwnError(Exception):
    """The load generator itself could not send a request, which is not a loss."""


class Wire(asyncio.Protocol):
    """
    A TCP connection. Made by `open`.

    Attributes:
        received: Bytes that have arrived and were not consumed.
        heard: How many bytes have arrived in total.
        written: How many bytes were to be sent in total.
        ended_at: When the server ended the connection, on the monotonic clock, or None while it is
            open.
        reset: Whether the connection ended by RST without a FIN before it.
    """

    def __init__(self) -> None:
        self.received = bytearray()
        self.heard = 0
        self.written = 0
        self.ended_at: float | None = None
        self.reset = False
        self._arrived: int | None = None
        self._ended = ""
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()

    @classmethod
    async def open(cls, endpoint: Endpoint) -> Self:
        """
        Connect.

        Raises:
            Lost: The server did not accept the connection.
            OwnError: This side could not open a connection.
        """
        loop = asyncio.get_running_loop()
        try:
            _, wire = await loop.create_connection(cls, endpoint.host, endpoint.port)
        except OSError as error:
            if error.errno in OWN_ERRORS:
                raise OwnError(os.strerror(error.errno)) from None
            raise Lost(Cause.REFUSED, _words(error)) from None
        return wire

    # Called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(BUFFERED)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._poll.register(sock.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.heard += len(data)
        self._wake.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def eof_received(self) -> bool:
        self._end("closed")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._transport is not None
        sock = self._transport.get_extra_info("socket")
        self._arrived = _acknowledged(sock)
        if exc is not None:  # found by writing: an answer may have come before the end
            with contextlib.suppress(OSError):
                while data := os.read(sock.fileno(), BUFFERED):
                    self.data_received(data)
        self._transport = None
        code = exc.errno if isinstance(exc, OSError) else None
        self.reset = code == errno.ECONNRESET and not self._ended
        # A write after a FIN and a RST gives a broken pipe. The FIN was first.
        self._end(_words(exc) if isinstance(exc, OSError) and code != errno.EPIPE else "closed")

    def _end(self, how: str) -> None:
        if not self._ended:  # the first event is the end itself, not the error of a later write
            self._ended, self.ended_at = how, time.monotonic()
        self._wake.set()
        self._room.set()

    # Called by clients

    @property
    def ended(self) -> str:
        """How the connection ended, in words, or "" while it is open."""
        return self._ended

    @property
    def over(self) -> bool:
        """True if the server has ended the connection, or has sent bytes without a request."""
        # The kernel is asked, so that bytes which this loop has not read yet count too.
        return bool(self._ended or self.received or self._transport is None or self._poll.poll(0))

    @property
    def arrived(self) -> int | None:
        """How many bytes the server's kernel has acknowledged, or None if that is not known."""
        if self._transport is not None:
            self._arrived = _acknowledged(self._transport.get_extra_info("socket"))
        return self._arrived

    async def look(self) -> None:
        """Process everything that has arrived, also the end. Call it before `over`."""
        while not self._ended and self._poll.poll(0):  # noqa: ASYNC110 - a turn of the loop each
            await asyncio.sleep(0)

    def write(self, data: bytes) -> None:
        """Send bytes. Whether they arrive is noticed by reading."""
        if self._transport is not None and data:
            self.written += len(data)
            self._transport.write(data)

    async def room(self) -> None:
        """Wait until more may be written, or the connection has ended."""
        await self._room.wait()

    async def read(self) -> bytes:
        """Return the next bytes, or b"" at the end."""
        while not self.received and not self._ended:
            self._wake.clear()
            await self._wake.wait()
        data = bytes(self.received)
        self.received.clear()
        return data

    def close(self) -> None:
        """Close the connection. Bytes that the kernel has not accepted are not sent any more."""
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()


def _acknowledged(sock: socket.socket) -> int | None:
    if TCP_INFO is None:
        return None
    count = int.from_bytes(
        sock.getsockopt(socket.IPPROTO_TCP, TCP_INFO, ACKNOWLEDGED.stop)[ACKNOWLEDGED],
        sys.byteorder,
    )
    return count - 1 if count else None


def _words(error: OSError) -> str:
    if error.errno:
        return os.strerror(error.errno).lower()
    return str(error).lower() or type(error).__name__

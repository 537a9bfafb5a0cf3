"""
A TCP connection that knows at every moment whether the other side has ended it, and how.

What Linux does, seen from the client (measured with a server of which each is true):

    its listener closes, the connection still in the queue     RST
    it closes what it has not read, or dies with it unread     RST
    it closes what it has read, or dies: SIGKILL, exit         FIN
    it closes, and the request arrives later                   FIN; RST once it arrives
    it answers, and closes what it has not read                the answer, then RST

So a RST tells that nobody had read the request, or not all of it. After a FIN the bytes that
were acknowledged tell whether the request had come: a socket that is closed takes none.
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
"""Where connecting fails because this side has no more descriptors or ports."""
BUFFERED: Final = 65536
"""Bytes that wait here for the kernel to take them, before a sender has to wait."""
TCP_INFO: Final = getattr(socket, "TCP_INFO", None)
ACKNOWLEDGED: Final = slice(120, 128)
"""Where TCP_INFO has `tcpi_bytes_acked` in linux/tcp.h; the SYN counts as one."""


class OwnError(Exception):
    """The load generator itself could not do it: nobody's loss."""


class Wire(asyncio.Protocol):
    """
    One connection; made by `open`.

    Attributes:
        received: What has come and was not taken yet.
        heard: How many bytes have come, ever.
        written: How many bytes were to be sent, ever.
        ended_at: When the other side ended it, on the monotonic clock.
        reset: Whether it was ended by RST, with no FIN before it.
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
            Lost: Nobody took the connection.
            OwnError: This side could not make one.
        """
        loop = asyncio.get_running_loop()
        try:
            _, wire = await loop.create_connection(cls, endpoint.host, endpoint.port)
        except OSError as error:
            if error.errno in OWN_ERRORS:
                raise OwnError(os.strerror(error.errno)) from None
            raise Lost(Cause.REFUSED, _words(error)) from None
        return wire

    # What the loop calls

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
        # Who writes after a FIN and a RST finds a broken pipe: the FIN was first.
        self._end(_words(exc) if isinstance(exc, OSError) and code != errno.EPIPE else "closed")

    def _end(self, how: str) -> None:
        if not self._ended:  # what came first: the end itself, not what writing on found
            self._ended, self.ended_at = how, time.monotonic()
        self._wake.set()
        self._room.set()

    # What a client does

    @property
    def ended(self) -> str:
        """How it was ended; empty while it is open."""
        return self._ended

    @property
    def over(self) -> bool:
        """True if the other side has ended it, or has sent what nobody asked for."""
        # Asked of the kernel: what this loop has not got round to read counts as seen too.
        return bool(self._ended or self.received or self._transport is None or self._poll.poll(0))

    @property
    def arrived(self) -> int | None:
        """How many bytes the other side's kernel has taken, read or not; None: it does not say."""
        if self._transport is not None:
            self._arrived = _acknowledged(self._transport.get_extra_info("socket"))
        return self._arrived

    async def look(self) -> None:
        """Take in whatever has come, the end included; to be called before `over`."""
        while not self._ended and self._poll.poll(0):  # noqa: ASYNC110 - a turn of the loop each
            await asyncio.sleep(0)

    def write(self, data: bytes) -> None:
        """Send; whether it arrives is seen by reading."""
        if self._transport is not None and data:
            self.written += len(data)
            self._transport.write(data)

    async def room(self) -> None:
        """Wait until more may be written, or it was ended."""
        await self._room.wait()

    async def read(self) -> bytes:
        """Return what comes next; b"" when it was ended."""
        while not self.received and not self._ended:
            self._wake.clear()
            await self._wake.wait()
        data = bytes(self.received)
        self.received.clear()
        return data

    def close(self) -> None:
        """Close it; what the kernel has not taken yet is not sent any more."""
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

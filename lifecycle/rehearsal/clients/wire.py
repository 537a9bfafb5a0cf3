"""A TCP connection that knows at every moment whether the other side has ended it."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
import time
from typing import Final, Self

from lifecycle.rehearsal.losses import Cause, Lost
from lifecycle.testing import Endpoint

OWN_ERRORS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS})
"""Where connecting fails because this side has no more descriptors or ports."""


class OwnError(Exception):
    """The load generator itself could not do it: nobody's loss."""


class Wire(asyncio.Protocol):
    """
    One connection; made by `open`.

    Attributes:
        received: What has come and was not taken yet.
        ended_at: When the other side ended it, on the monotonic clock.
    """

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended_at: float | None = None
        self._ended = ""
        self._wake = asyncio.Event()
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
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._poll.register(sock.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._wake.set()

    def eof_received(self) -> bool:
        self._end("closed")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._end(_words(exc) if isinstance(exc, OSError) else "closed")

    def _end(self, how: str) -> None:
        if not self._ended:  # what came first: the end itself, not what writing on found
            self._ended, self.ended_at = how, time.monotonic()
        self._wake.set()

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

    async def look(self) -> None:
        """Take in whatever has come, the end included; to be called before `over`."""
        while not self._ended and self._poll.poll(0):  # noqa: ASYNC110 - a turn of the loop each
            await asyncio.sleep(0)

    def write(self, data: bytes) -> None:
        """Send; whether it arrives is seen by reading."""
        if self._transport is not None and data:
            self._transport.write(data)

    async def read(self) -> bytes:
        """Return what comes next; b"" when it was ended."""
        while not self.received and not self._ended:
            self._wake.clear()
            await self._wake.wait()
        data = bytes(self.received)
        self.received.clear()
        return data

    def close(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.close()


def _words(error: OSError) -> str:
    if error.errno:
        return os.strerror(error.errno).lower()
    return str(error).lower() or type(error).__name__

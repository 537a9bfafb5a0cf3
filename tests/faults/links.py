"""
Connections through the proxy: what is read on one side, written on the other, and when.

Rules of this file:

1. What a fault holds back is not lost: it arrives once the fault is over, as TCP sends it again.
   It is lost only with its connection.
2. Bytes stay in order, and so does the end of a direction.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import math
import socket
import struct
from dataclasses import dataclass, field
from typing import Final

HERE: Final = "127.0.0.1"
CHUNK: Final = 65536
QUEUED: Final = 64
"""Chunks that are under way in one direction. Beyond that, the sender has to wait."""
PIECE: Final = 0.02
"""Seconds that a piece takes where the bandwidth is limited."""
_RESET: Final = struct.pack("ii", 1, 0)


class Way(enum.Flag):
    """A direction: UP is from the client to the server."""

    UP = enum.auto()
    DOWN = enum.auto()
    BOTH = UP | DOWN


@dataclass
class Lane:
    """
    What happens to the bytes of one direction, on all connections.

    Attributes:
        delay: Seconds that each byte is late.
        rate: Bytes a second that get through, on each connection.
        left: Bytes that get through until their connection is reset, or None.
        passed: Bytes that have got through.
        opened: Set unless the direction is held.
    """

    delay: float = 0.0
    rate: float = math.inf
    left: int | None = None
    passed: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, size: int) -> bool:
        """Count bytes that go through now. Return whether their connection is to be reset."""
        if self.left is None:
            return False
        self.left -= size
        if self.left:
            return False
        self.left = None
        return True

    def heal(self) -> None:
        """Let all through again."""
        self.delay, self.rate, self.left = 0.0, math.inf, None
        self.opened.set()


class Link:
    """
    A connection of a client, and the one to the server that belongs to it.

    Attributes:
        task: What runs it.
        begun: Set once the task runs. One that is cancelled before runs nothing at all.
        kept: The socket that stays open while the other one is gone.
        halved: Set once that socket alone is left, or none.
    """

    task: asyncio.Task[None]

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.server = new_socket()
        self.kept: socket.socket | None = None
        self.begun = asyncio.Event()
        self.halved = asyncio.Event()
        for sock in (self.client, self.server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def run(self, target: int, lanes: dict[Way, Lane]) -> None:
        """Pass the bytes on until both sides have ended, or one has failed."""
        self.begun.set()
        try:
            await self._pass(target, lanes)
        except asyncio.CancelledError:
            if self.kept is None:
                raise
            (self.server if self.kept is self.client else self.client).close()
            self.halved.set()
            with contextlib.suppress(OSError):
                await _swallow(self.kept)

    def close(self) -> None:
        """Close what is open."""
        self.halved.set()
        self.client.close()
        self.server.close()

    async def _pass(self, target: int, lanes: dict[Way, Lane]) -> None:
        try:
            await asyncio.get_running_loop().sock_connect(self.server, (HERE, target))
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(self.client, self.server, lanes[Way.UP]))
                group.create_task(_pump(self.server, self.client, lanes[Way.DOWN]))
        except* OSError:
            self.abort()

    def abort(self) -> None:
        """Let both sockets be reset when they are closed."""
        for sock in (self.client, self.server):
            with contextlib.suppress(OSError):  # it is closed
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


async def _pump(source: socket.socket, target: socket.socket, lane: Lane) -> None:
    """Pass the bytes of one direction on, and its end."""
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUED)
    async with asyncio.TaskGroup() as group:
        group.create_task(_read(source, queue, lane))
        await _write(queue, target, lane)


async def _read(
    source: socket.socket, queue: asyncio.Queue[tuple[float, bytes]], lane: Lane
) -> None:
    loop = asyncio.get_running_loop()
    data = b"something"
    while data:
        data = await loop.sock_recv(source, CHUNK)
        await queue.put((loop.time() + lane.delay, data))


async def _write(
    queue: asyncio.Queue[tuple[float, bytes]], target: socket.socket, lane: Lane
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due, data = await queue.get()
        await asyncio.sleep(due - loop.time())
        if not data:
            await lane.opened.wait()
            target.shutdown(socket.SHUT_WR)
            return
        while data:
            await lane.opened.wait()
            size = len(data) if lane.left is None else lane.left
            size = min(size, len(data), max(1, int(min(lane.rate * PIECE, CHUNK))))
            last = lane.take(size)
            await loop.sock_sendall(target, data[:size])
            lane.passed += size
            data = data[size:]
            if last:
                raise ConnectionResetError
            if lane.rate < math.inf:
                await asyncio.sleep(size / lane.rate)


async def _swallow(sock: socket.socket) -> None:
    """Read and forget until the peer ends the connection."""
    while await asyncio.get_running_loop().sock_recv(sock, CHUNK):
        pass


def new_socket() -> socket.socket:
    """Return a socket that does not block."""
    sock = socket.socket()
    sock.setblocking(False)
    return sock

"""
The fuzzer itself, a process of its own: plays cases against one port, many at a time.

    python -m tests.fuzz.play '{"part": "h1", "port": 8080, "seed": "1", "seconds": 10}'

The case that has a number is the same whenever the seed is. What it found is one JSON
object on stdout.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from tests.fuzz import http1, http2, tls, websocket
from tests.fuzz.case import Case, End
from tests.fuzz.pace import Pace

AT_ONCE: Final = 40
PATIENCE: Final = 10.0
"""Seconds in which a server that owes something must send more of it, or end the connection."""
ENOUGH: Final = 5
"""After so many faults nothing new is to be learnt."""
LINGER: Final = (0.0, 0.001, 0.02)
CONNECTING: Final = 10.0

Make = Callable[..., Case]

PARTS: Final[dict[str, tuple[Make, ...]]] = {
    "h1": (http1.case,),
    "h2": (http2.case,),
    "ws": (websocket.case,),
    "tls": (tls.case,),
    "qos": (http1.case, http1.case, http2.case, websocket.case, tls.case),
}


@dataclass
class Orders:
    """What is to be done."""

    part: str
    port: int
    seed: str
    seconds: float
    requests: int = sys.maxsize
    first: int = 0
    cases: int = sys.maxsize


@dataclass
class Found:
    """What has come of it."""

    requests: int = 0
    connections: int = 0
    refused: int = 0
    unanswered: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


def made(orders: Orders, number: int) -> Case:
    """Make the case that has a number."""
    draw = random.Random(f"{orders.seed} {orders.part} {number}")
    case = draw.choice(PARTS[orders.part])(draw, qos=orders.part == "qos")
    if orders.part == "qos":
        case.tls = False
    return case


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, satisfied: Callable[[bytes], bool] | None) -> None:
        self.over = asyncio.get_running_loop().create_future()
        self.writable = asyncio.Event()
        self.writable.set()
        self.heard_at = time.monotonic()
        self._received = bytearray()
        self._satisfied = satisfied

    def data_received(self, data: bytes) -> None:
        self.heard_at = time.monotonic()
        if self._satisfied is None or self.over.done():
            return
        self._received += data
        if self._satisfied(bytes(self._received)):
            self.over.set_result(None)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def connection_lost(self, _: Exception | None) -> None:
        self.writable.set()
        if not self.over.done():
            self.over.set_result(None)


class Player:
    """Plays cases."""

    def __init__(self, orders: Orders) -> None:
        self.found = Found()
        self._orders = orders
        self._pace = Pace()
        self._next = orders.first
        self._tls = tls.context()
        self._until = time.monotonic() + orders.seconds

    async def run(self) -> Found:
        """Play until time or requests are used up."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, self._orders.cases)):
                group.create_task(self._work())
        self.found.seconds = time.monotonic() - began
        return self.found

    def _more(self) -> bool:
        return (
            time.monotonic() < self._until
            and self.found.requests < self._orders.requests
            and len(self.found.faults) < ENOUGH
            and self._next < self._orders.first + self._orders.cases
        )

    async def _work(self) -> None:
        while self._more():
            number, self._next = self._next, self._next + 1
            case = made(self._orders, number)
            self.found.requests += case.requests
            self.found.connections += 1
            try:
                await self._play(case, number)
            except (OSError, TimeoutError):  # a handshake or a connection that was refused
                self.found.refused += 1

    async def _play(self, case: Case, number: int) -> None:
        loop = asyncio.get_running_loop()
        context = self._tls if case.tls else None
        async with asyncio.timeout(CONNECTING):
            transport, client = await loop.create_connection(
                lambda: _Client(case.satisfied), "127.0.0.1", self._orders.port, ssl=context
            )
        try:
            await self._send(case, transport, client)
            if case.end is End.HALF and not transport.is_closing():
                transport.write_eof()
            if case.satisfied is None:
                await asyncio.sleep(LINGER[number % len(LINGER)])
            elif await self._stands_still(client):
                self.found.unanswered += 1
                if len(self.found.faults) < ENOUGH:
                    self.found.faults.append(
                        f"CASE={number}: neither answer nor end in {PATIENCE:g} s: {_shown(case)}"
                    )
        finally:
            if case.end is End.RESET:
                _reset(transport)
            else:
                transport.close()

    async def _send(self, case: Case, transport: Any, client: _Client) -> None:
        for step in case.steps:
            if isinstance(step, float):
                await asyncio.sleep(step)
                continue
            await self._pace.leave(len(step))
            if transport.is_closing():
                return
            transport.write(step)
            if not client.writable.is_set():
                async with asyncio.timeout(PATIENCE):
                    await client.writable.wait()

    async def _stands_still(self, client: _Client) -> bool:
        began = time.monotonic()
        while not client.over.done():
            left = max(client.heard_at, began) + PATIENCE - time.monotonic()
            if left <= 0:
                return True
            await asyncio.wait({client.over}, timeout=left)
        return False


def _reset(transport: asyncio.Transport) -> None:
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() != -1:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _shown(case: Case) -> str:
    data = b"".join(step for step in case.steps if isinstance(step, bytes))
    return f"{len(data)} bytes in {len(case.steps)} steps, tls={case.tls}, {case.end.value}: {data[:200]!r}"


def main() -> None:
    """Play, and say what was found."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # writing to who has gone is the point
    found = asyncio.run(Player(Orders(**json.loads(sys.argv[1]))).run())
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()

"""
Calls of gRPC to a Service of a real cluster.

Half of the clients keep their channel, as an app does, and leave it to gRPC to connect again.
The others make a new one for each call. No client repeats a call.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Final, Self

import grpc
import grpc.aio

from tests.process.kit import background

CLIENTS: Final = 8
PAUSE: Final = 0.04
"""Seconds between two calls of a client."""
TIMEOUT: Final = 5.0
METHOD: Final = "/Orders/Place"
OWN: Final = [("grpc.use_local_subchannel_pool", 1)]
"""Channels do not share a connection."""


@dataclass
class Calls:
    """
    What the clients have seen.

    Attributes:
        made: The calls.
        lost: Of each call that was not answered, whether its channel was kept, and why.
    """

    made: int = 0
    lost: list[tuple[bool, str]] = field(default_factory=list)

    def row(self, name: str, seconds: float) -> list[str]:
        """Return the line of the table of rollouts."""
        lost = [f"{sum(kept is each for each, _ in self.lost):,}" for kept in (False, True)]
        return [name, "ClusterIP", "1", f"{self.made:,}", *lost, f"{seconds:.1f} s"]


class GrpcLoad:
    """
    Clients at work; a context manager.

    Args:
        address: The Service's, as HOST:PORT.
        within: Seconds until it first answers.
    """

    def __init__(self, address: str, within: float) -> None:
        self._address = address
        self._within = within
        self._calls = Calls()
        self._begun, self._over = threading.Event(), threading.Event()

    def __enter__(self) -> Self:
        self._working = background(lambda: asyncio.run(self._all()))
        if not self._begun.wait(self._within + TIMEOUT):
            self.end()
            raise AssertionError(f"{self._address} has not answered within {self._within:g} s")
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def end(self) -> Calls:
        """Let the clients finish their calls, and return what they have seen."""
        self._over.set()
        self._working.result(2 * TIMEOUT)
        return self._calls

    async def _all(self) -> None:
        async with grpc.aio.insecure_channel(self._address, options=OWN) as channel:
            call = channel.unary_unary(METHOD)(b"x", timeout=self._within, wait_for_ready=True)
            assert await call == b"placed x"
        self._begun.set()
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._client(kept=number % 2 == 0))

    async def _client(self, *, kept: bool) -> None:
        while not self._over.is_set():
            async with grpc.aio.insecure_channel(self._address, options=OWN) as channel:
                await self._call(channel, kept=kept)
                while kept and not self._over.is_set():
                    await self._call(channel, kept=kept)

    async def _call(self, channel: grpc.aio.Channel, *, kept: bool) -> None:
        self._calls.made += 1
        try:
            assert await channel.unary_unary(METHOD)(b"x", timeout=TIMEOUT) == b"placed x"
        except grpc.aio.AioRpcError as error:
            self._calls.lost.append((kept, f"{error.code().name}: {error.details()}"))
        await asyncio.sleep(PAUSE)

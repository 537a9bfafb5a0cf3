"""Clients of what `lifecycle rehearse` does not speak: gRPC, and server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from abc import ABC, abstractmethod
from typing import ClassVar, Self

import grpc
import grpc.aio

from lifecycle.rehearsal.load.generator import LoadGenerator
from lifecycle.rehearsal.measuring.losses import Cause, Loss
from lifecycle.rehearsal.measuring.tally import BUCKET, Tally
from lifecycle.rehearsal.plan import Traffic
from lifecycle.testing import Client as View
from lifecycle.testing import Endpoint, Pod, Service
from tests.process.h1_client import Connection

TIMEOUT = 5.0
NOT_SENT = "failed to connect"
CLIENTS = 8
NOTHING = Traffic(protocols=())
"""What the library's own clients are to ask for."""


class OwnClient(ABC):
    """What the two have in common: whom they know, and what they have seen."""

    def __init__(self, view: View, tally: Tally, number: int) -> None:
        self.view = view
        self.tally = tally
        self.number = number
        self.random = random.Random(number)

    @abstractmethod
    async def run(self, over: asyncio.Event) -> None:
        """Ask until it is over."""

    def answered(self, endpoint: Endpoint, began: float, *, kept: bool, whole: int = 1) -> None:
        now = time.monotonic()
        self.tally.requests += whole
        self.tally.answers[int(now / BUCKET), endpoint.name, kept] += whole
        self.tally.longest = max(self.tally.longest, now - began)

    def lost(self, endpoint: Endpoint, began: float, path: str, why: str, *, kept: bool) -> None:
        now = time.monotonic()
        self.tally.requests += 1
        self.tally.losses.append(
            Loss(now, began, kept, type(self).__name__, Cause.CUT, why, path, endpoint.name)
        )


class OwnLoad(LoadGenerator):
    """Clients in this process, to each of whom a Service tells late of the pods."""

    kind: ClassVar[type[OwnClient]]

    async def __aenter__(self) -> Self:
        self._service = Service(self._traffic.propagation, seed=1)
        self._over = asyncio.Event()
        return self

    def follow(self, pod: Pod) -> None:
        self._service.add(pod, "http")

    def begin(self) -> None:
        clients = [self.kind(self._service.client(), self.tally, n) for n in range(CLIENTS)]
        self._reading = [asyncio.create_task(each.run(self._over)) for each in clients]

    async def end(self) -> Tally:
        self._over.set()
        return await super().end()


class GrpcClient(OwnClient):
    """Calls over one kept channel until it is told to go elsewhere, or over a new one each."""

    _channel: grpc.aio.Channel | None = None
    _endpoint: Endpoint

    async def run(self, over: asyncio.Event) -> None:
        while not over.is_set():
            await self._once()
            if not self.number % 2:
                await self._drop()
            await asyncio.sleep(self.random.uniform(0, 0.06))
        await self._drop()

    async def _once(self) -> None:
        # After GOAWAY a channel is idle: it would connect again, by name, to who is there then.
        if self._channel and self._channel.get_state() is not grpc.ChannelConnectivity.READY:
            self.tally.closed_idle += 1
            await self._drop()
        kept = self._channel is not None
        if self._channel is None:
            self._endpoint = self.view.pick()
            self._channel = grpc.aio.insecure_channel(
                f"{self._endpoint.host}:{self._endpoint.port}",
                options=[("grpc.use_local_subchannel_pool", 1)],
            )
        draw = self.random.random()
        what = "slow" if draw < 0.01 else "count" if draw < 0.02 else "echo"
        began = time.monotonic()
        try:
            await self._call(self._channel, what)
        except grpc.aio.AioRpcError as error:
            if kept and NOT_SENT in str(error.details()):
                # Told to go before the call: in a cluster the same name leads to another pod.
                self.tally.closed_idle += 1
            else:
                why = f"{error.code().name}: {error.details()}"
                self.lost(self._endpoint, began, what, why, kept=kept)
            await self._drop()
        else:
            self.answered(self._endpoint, began, kept=kept)

    async def _call(self, channel: grpc.aio.Channel, what: str) -> None:
        if what == "count":
            answers = channel.unary_stream("/Shop/Count")(b"x", timeout=TIMEOUT)
            assert len([each async for each in answers]) == 10
            return
        request = what.encode()
        assert await channel.unary_unary("/Shop/Echo")(request, timeout=TIMEOUT) == request

    async def _drop(self) -> None:
        if self._channel is not None:
            await self._channel.close()
            self._channel = None


class EventSource(OwnClient):
    """Listens until its stream has ended whole, then listens elsewhere."""

    async def run(self, over: asyncio.Event) -> None:
        ending = asyncio.create_task(over.wait())
        while not over.is_set():
            listening = asyncio.create_task(self._listen(self.view.pick()))
            await asyncio.wait({listening, ending}, return_when=asyncio.FIRST_COMPLETED)
            listening.cancel()

    async def _listen(self, endpoint: Endpoint) -> None:
        began = time.monotonic()
        try:
            connection = await Connection.open(endpoint.port)
            with contextlib.closing(connection):
                accept = {"Accept": "text/event-stream"}
                response = await connection.ask("/events", accept, within=None)
            events = response.body.decode().split("\n\n")
            assert events == [*(f"data: {number}" for number in range(len(events) - 1)), ""]
        except Exception as error:  # noqa: BLE001 - whatever it is, the stream was not whole
            self.lost(endpoint, began, "/events", repr(error), kept=False)
        else:
            self.answered(endpoint, time.monotonic(), kept=False, whole=len(events) - 1)


class GrpcLoad(OwnLoad):
    """Half of them on kept channels."""

    kind = GrpcClient


class EventLoad(OwnLoad):
    """All of them listen."""

    kind = EventSource

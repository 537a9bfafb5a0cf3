"""gRPC clients for a `Load`: some keep their channel, some open one for each call."""

from __future__ import annotations

import asyncio
import random
import time

import grpc
import grpc.aio

from tests.process.load import Endpoint, Load, Loss, Tally

TIMEOUT = 5.0
NOT_SENT = "failed to connect"


class GrpcClient:
    """Calls over one kept channel until it is told to go elsewhere, or over a new one each."""

    def __init__(self, tally: Tally, *, kept: bool, seed: int) -> None:
        self.tally = tally
        self.known: list[Endpoint] = []
        self._kept = kept
        self._random = random.Random(seed)
        self._channel: grpc.aio.Channel | None = None
        self._endpoint: Endpoint | None = None

    async def run(self, over: asyncio.Event) -> None:
        while not over.is_set():
            await self._once()
            await asyncio.sleep(self._random.uniform(0, 0.06))
        await self._drop()

    async def _once(self) -> None:
        if self._channel is not None and not self._usable(self._channel):
            self.tally.closed_idle += 1
            await self._drop()
        kind = "new" if self._channel is None else "kept"
        if self._channel is None:
            self.tally.new += 1
            self._endpoint = self._random.choice(self.known)
            self._channel = grpc.aio.insecure_channel(
                f"{self._endpoint.host}:{self._endpoint.port}",
                options=[("grpc.use_local_subchannel_pool", 1)],
            )
        else:
            self.tally.kept += 1
        draw = self._random.random()
        what = "slow" if draw < 0.01 else "count" if draw < 0.02 else "echo"
        began = time.monotonic()
        try:
            await self._call(self._channel, what)
        except grpc.aio.AioRpcError as error:
            assert self._endpoint is not None
            if kind == "kept" and NOT_SENT in str(error.details()):
                # Told to go before the call: in a cluster the same name leads to another pod.
                self.tally.closed_idle += 1
                await self._drop()
                return
            cause = f"{error.code().name}: {error.details()}"
            self.tally.losses.append(Loss(kind, cause, what, self._endpoint, time.monotonic()))
            await self._drop()
        self.tally.longest = max(self.tally.longest, time.monotonic() - began)
        if not self._kept:
            await self._drop()

    async def _call(self, channel: grpc.aio.Channel, what: str) -> None:
        if what == "count":
            answers = channel.unary_stream("/Shop/Count")(b"x", timeout=TIMEOUT)
            assert len([each async for each in answers]) == 10
            return
        request = what.encode()
        assert await channel.unary_unary("/Shop/Echo")(request, timeout=TIMEOUT) == request

    def _usable(self, channel: grpc.aio.Channel) -> bool:
        # After GOAWAY a channel is idle: it would connect again, by name, to who is there then.
        return channel.get_state() is grpc.ChannelConnectivity.READY

    async def _drop(self) -> None:
        if self._channel is not None:
            await self._channel.close()
            self._channel = None


def grpc_load() -> Load:
    """Make a load of gRPC clients, half of them on kept channels."""
    load = Load(0)
    load.clients = [  # type: ignore[assignment]
        GrpcClient(load.tally, kept=bool(number % 2), seed=number) for number in range(8)
    ]
    return load

"""The drain's report tells calls on new connections from those on the ones that were there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
import lifecycle_grpc
import pytest
from lifecycle_grpc.handlers import address_of

from plugins.grpc.tests.scenario import play, until

SETTLE = 1.0
OWN = [("grpc.use_local_subchannel_pool", 1)]
"""Otherwise channels to the same address share a connection."""


class Shop:
    """The same answer from each kind of handler that grpc knows."""

    async def unary(self, request: bytes, context: Any) -> bytes:
        return b"hello"

    async def stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"hello"
        yield b"again"

    async def writes(self, request: bytes, context: Any) -> None:
        await context.write(b"hello")

    def plain(self, request: bytes, context: Any) -> bytes:
        return b"hello"

    def steps(self, request: bytes, context: Any) -> Iterator[bytes]:
        yield b"hello"


SHOP = Shop()
HANDLERS = {
    "unary": grpc.unary_unary_rpc_method_handler(SHOP.unary),
    "plain": grpc.unary_unary_rpc_method_handler(SHOP.plain),
    "stream": grpc.unary_stream_rpc_method_handler(SHOP.stream),
    "writes": grpc.unary_stream_rpc_method_handler(SHOP.writes),
    "steps": grpc.unary_stream_rpc_method_handler(SHOP.steps),
}


async def asked(channel: grpc.aio.Channel, method: str) -> bytes:
    if method in ("unary", "plain"):
        answer: bytes = await channel.unary_unary(f"/Shop/{method}")(b"")
        return answer
    found = [each async for each in channel.unary_stream(f"/Shop/{method}")(b"")]
    return bytes(found[0])


@pytest.mark.parametrize("method", HANDLERS)
def test_a_call_on_a_new_connection_is_told_from_one_on_an_old_one(
    serve: Callable[..., Any], method: str
) -> None:
    """Only the new one lengthens settle; each kind of handler answers as before."""

    async def scenario() -> None:
        async with serve(HANDLERS, settle=SETTLE) as served:
            assert await asked(served.channel, method) == b"hello"
            served.life.begin_drain("test")
            await until(lambda: served.life.draining)
            await asyncio.sleep(0.1)  # until the kernel has listed who is connected
            async with grpc.aio.insecure_channel(served.where, options=OWN) as new:
                assert await asked(new, method) == b"hello"
            await asyncio.sleep(0.1)
            assert await asked(served.channel, method) == b"hello"
            await until(lambda: sum(served.life.snapshot()["drain"]["arrivals"]) == 2)
            drain = served.life.snapshot()["drain"]
            assert drain["connections"] == [1]
            assert 0.1 <= drain["last_connection"] < drain["last_request"]
            await served.life.drained()
            assert served.life.snapshot()["drain"]["listened"] >= SETTLE

    play(scenario)


@pytest.mark.parametrize(("renewed", "factor"), [(True, 2), (False, 1)])
def test_settle_is_twice_the_propagation_if_connections_are_renewed(
    serve: Callable[..., Any], renewed: Any, factor: int
) -> None:
    """With `options`, which end a connection at half of settle; without them it is once."""

    async def scenario() -> None:
        async with serve(HANDLERS) as served:
            if renewed:
                lifecycle_grpc.options(served.life)
            served.life.begin_drain("test")
            await served.life.drained()
            assert served.life.drain.settle_factor == factor

    play(scenario)


PEERS = {
    "ipv4:10.0.0.7:50000": ("10.0.0.7", 50000),
    "ipv6:[::1]:50000": ("::1", 50000),
    "ipv6:%5B2001:db8::7%5D:50000": ("2001:db8::7", 50000),
    "unix:/run/app.sock": None,
    "unix:": None,
    "ipv4:10.0.0.7": None,
    "": None,
}


@pytest.mark.parametrize(("peer", "address"), PEERS.items(), ids=PEERS)
def test_the_client_of_a_call(peer: str, address: object) -> None:
    """As grpc writes it."""
    assert address_of(SimpleNamespace(peer=lambda: peer)) == address

"""What a channel sees when the server leaves: every call is answered."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from plugins.grpc.tests.scenario import play, until

SETTLE = 0.4


class Shop:
    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def hello(self, request: bytes, context: Any) -> bytes:
        return b"hello"

    async def wait(self, request: bytes, context: Any) -> bytes:
        await self.gate.wait()
        return b"waited"

    @property
    def handlers(self) -> dict[str, Any]:
        return {
            "hello": grpc.unary_unary_rpc_method_handler(self.hello),
            "wait": grpc.unary_unary_rpc_method_handler(self.wait),
        }


def test_calls_are_served_until_settle_and_finished_after_it(serve: Any) -> None:
    """On kept and new channels until settle; what is in flight then is finished; GOAWAY."""

    async def scenario() -> None:
        shop = Shop()
        async with serve(shop.handlers, settle=SETTLE) as served:
            kept = served.channel
            call = kept.unary_unary("/Shop/wait")(b"")
            while served.in_flight < 1:
                await asyncio.sleep(0.01)
            began = time.monotonic()
            served.life.begin_drain("test")
            while time.monotonic() - began < SETTLE / 2:
                assert await kept.unary_unary("/Shop/hello")(b"") == b"hello"
                async with grpc.aio.insecure_channel(served.where) as new:
                    assert await new.unary_unary("/Shop/hello")(b"") == b"hello"

            while kept.get_state() is grpc.ChannelConnectivity.READY:
                await kept.wait_for_state_change(grpc.ChannelConnectivity.READY)
            assert time.monotonic() - began >= SETTLE - 0.02
            shop.gate.set()
            assert await call == b"waited"
            assert await served.life.drained() > 24

    play(scenario)


def test_who_comes_back_when_its_stream_is_ended_does_not_hold_the_drain(serve: Any) -> None:
    """A client that asks again and again is served until settle, and then asks in vain: it is quiet."""

    async def scenario() -> None:
        asked = 0
        life = None

        async def events(request: bytes, context: Any) -> AsyncIterator[bytes]:
            nonlocal asked
            asked += 1
            yield b"event"
            while not life.draining:
                await asyncio.sleep(0.01)

        handlers = {"events": grpc.unary_stream_rpc_method_handler(events)}
        async with serve(handlers, settle=SETTLE, quiet=0.3) as served:
            life = served.life

            async def come_back() -> None:
                while True:
                    async with grpc.aio.insecure_channel(served.where) as channel:
                        with contextlib.suppress(grpc.aio.AioRpcError):
                            async for _ in channel.unary_stream("/Shop/events")(b""):
                                pass
                    await asyncio.sleep(0.01)

            coming = asyncio.create_task(come_back())
            await until(lambda: served.in_flight == 1)
            life.begin_drain("test")
            assert await life.drained() > 24
            assert asked > 2
            coming.cancel()

    play(scenario)

"""Every call is counted in flight to its end, whatever its kind and however it is written."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import grpc.aio
import pytest

from plugins.grpc.tests.scenario import play, until

PIECES = [b"a", b"b"]


class Gates:
    """What a handler waits at, in the middle of a call."""

    def __init__(self) -> None:
        self.async_ = asyncio.Event()
        self.sync = threading.Event()

    def open(self) -> None:
        self.async_.set()
        self.sync.set()


class Async:
    """Coroutines and async generators."""

    def __init__(self, gates: Gates) -> None:
        self.gate = gates.async_

    async def unary_unary(self, request: bytes, context: Any) -> bytes:
        await self.gate.wait()
        return request

    async def unary_stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield request
        await self.gate.wait()
        yield request

    async def stream_unary(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        got = [each async for each in requests]
        await self.gate.wait()
        return b"".join(got)

    async def stream_stream(
        self, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        async for each in requests:
            yield each
        await self.gate.wait()


class Writing:
    """Streams that are written through the context."""

    def __init__(self, gates: Gates) -> None:
        self.gate = gates.async_

    async def unary_stream(self, request: bytes, context: Any) -> None:
        await context.write(request)
        await self.gate.wait()
        await context.write(request)

    async def stream_stream(self, requests: Any, context: Any) -> None:
        while (request := await context.read()) is not grpc.aio.EOF:
            await context.write(request)
        await self.gate.wait()


class Sync:
    """Plain functions and generators, which grpc.aio runs in its pool."""

    def __init__(self, gates: Gates) -> None:
        self.gate = gates.sync

    def unary_unary(self, request: bytes, context: Any) -> bytes:
        self.gate.wait(10)
        return request

    def unary_stream(self, request: bytes, context: Any) -> Iterator[bytes]:
        yield request
        self.gate.wait(10)
        yield request

    def stream_unary(self, requests: Iterator[bytes], context: Any) -> bytes:
        got = list(requests)
        self.gate.wait(10)
        return b"".join(got)

    def stream_stream(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        yield from requests
        self.gate.wait(10)


def handlers(shop: Any) -> dict[str, Any]:
    """Return a handler for each kind of method that a shop has."""
    kinds = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
    return {
        kind: getattr(grpc, f"{kind}_rpc_method_handler")(getattr(shop, kind))
        for kind in kinds
        if hasattr(shop, kind)
    }


async def call(channel: grpc.aio.Channel, kind: str) -> list[bytes]:
    """Call a method of some kind, and return all it answers."""
    method = getattr(channel, kind)(f"/Shop/{kind}")
    sent = iter(PIECES) if kind.startswith("stream") else PIECES[0]
    answer = method(sent, wait_for_ready=True)
    if kind.endswith("stream"):
        return [each async for each in answer]
    return [await answer]


STYLES = [
    (style, kind)
    for style in (Async, Writing, Sync)
    for kind in ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
    if hasattr(style, kind)
]


@pytest.mark.parametrize(
    ("style", "kind"), STYLES, ids=[f"{style.__name__} {kind}" for style, kind in STYLES]
)
def test_a_call_is_counted_to_its_end(serve: Any, style: type, kind: str) -> None:
    """One in flight while it waits, none when it has ended; its answer is untouched."""

    async def scenario() -> None:
        gates = Gates()
        async with serve(handlers(style(gates))) as served:
            calling = asyncio.create_task(call(served.channel, kind))
            await until(lambda: served.in_flight == 1)
            gates.open()
            expected = {
                "unary_unary": [b"a"],
                "unary_stream": [b"a", b"a"],
                "stream_unary": [b"ab"],
                "stream_stream": PIECES,
            }[kind]
            assert await calling == expected
            await until(lambda: served.in_flight == 0)

    play(scenario)


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
def test_a_call_that_its_client_gives_up_is_over(serve: Any, kind: str) -> None:
    """Cancelled by its client, it is counted no longer, and its handler cleans up."""

    async def scenario() -> None:
        begun, cleaned = asyncio.Event(), asyncio.Event()

        class Careful(Async):
            async def unary_unary(self, request: bytes, context: Any) -> bytes:
                begun.set()
                try:
                    return await super().unary_unary(request, context)
                finally:
                    cleaned.set()

            async def unary_stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
                begun.set()
                try:
                    yield request
                    await self.gate.wait()
                finally:
                    cleaned.set()

        async with serve(handlers(Careful(Gates()))) as served:
            calling = asyncio.create_task(call(served.channel, kind))
            await begun.wait()
            assert served.in_flight == 1
            calling.cancel()
            await cleaned.wait()
            await until(lambda: served.in_flight == 0)

    play(scenario)


def test_a_call_that_fails_is_over(serve: Any) -> None:
    """An abort reaches the client as it is, and is counted no longer."""

    class Refusing:
        async def unary_unary(self, request: bytes, context: Any) -> bytes:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "sold out")
            return b""

    async def scenario() -> None:
        async with serve(handlers(Refusing())) as served:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(served.channel, "unary_unary")
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert refused.value.details() == "sold out"
            await until(lambda: served.in_flight == 0)

    play(scenario)


def test_a_method_that_does_not_exist_is_none_of_ours(serve: Any) -> None:
    """It is answered as ever: UNIMPLEMENTED."""

    async def scenario() -> None:
        async with serve(handlers(Async(Gates()))) as served:
            with pytest.raises(grpc.aio.AioRpcError) as missing:
                await served.channel.unary_unary("/Shop/nothing")(b"")
            assert missing.value.code() is grpc.StatusCode.UNIMPLEMENTED

    play(scenario)

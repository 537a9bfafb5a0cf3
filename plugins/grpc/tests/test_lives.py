"""A call is in flight as long as its RPC lives, and no longer: however it ends, however it is written."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import grpc.aio
import pytest

from plugins.grpc.tests.scenario import play, until

# grpc leaves the loop's side of a plain generator that it has abandoned unfinished.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


class Async:
    """Coroutines and async generators, which wait for ever in the middle."""

    def __init__(self) -> None:
        self.never = asyncio.Event()

    async def unary_unary(self, request: bytes, context: Any) -> bytes:
        await self.never.wait()
        return request

    async def unary_stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        while True:
            yield request

    async def stream_unary(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b"".join([each async for each in requests])

    async def stream_stream(
        self, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        async for each in requests:
            yield each


class Writing(Async):
    """Streams that are written through the context."""

    async def unary_stream(self, request: bytes, context: Any) -> None:  # type: ignore[override]
        while True:
            await context.write(request)

    async def stream_stream(self, requests: Any, context: Any) -> None:  # type: ignore[override]
        while (request := await context.read()) is not grpc.aio.EOF:
            await context.write(request)


class Sync:
    """Plain functions and generators, which grpc.aio runs in its pool, and abandons there."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    def unary_unary(self, request: bytes, context: Any) -> bytes:
        self.gate.wait(10)
        return request

    def unary_stream(self, request: bytes, context: Any) -> Iterator[bytes]:
        while True:
            yield request

    def stream_unary(self, requests: Iterator[bytes], context: Any) -> bytes:
        return b"".join(requests)

    def stream_stream(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        yield from requests


class Refusing:
    """Every kind aborts."""

    async def unary_unary(self, request: bytes, context: Any) -> None:
        await context.abort(grpc.StatusCode.NOT_FOUND, "sold out")

    async def unary_stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        await context.abort(grpc.StatusCode.NOT_FOUND, "sold out")
        yield b""

    stream_unary = unary_unary
    stream_stream = unary_stream


class SyncRefusing:
    """Every kind aborts, in the pool."""

    def unary_unary(self, request: bytes, context: Any) -> None:
        context.abort(grpc.StatusCode.NOT_FOUND, "sold out")

    def unary_stream(self, request: bytes, context: Any) -> Iterator[bytes]:
        context.abort(grpc.StatusCode.NOT_FOUND, "sold out")
        yield b""

    stream_unary = unary_unary
    stream_stream = unary_stream


class Failing:
    """Every kind raises."""

    async def unary_unary(self, request: bytes, context: Any) -> bytes:
        raise LookupError("no such shop")

    async def unary_stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        raise LookupError("no such shop")
        yield b""

    stream_unary = unary_unary
    stream_stream = unary_stream


class SyncFailing:
    """Every kind raises, in the pool."""

    def unary_unary(self, request: bytes, context: Any) -> bytes:
        raise LookupError("no such shop")

    def unary_stream(self, request: bytes, context: Any) -> Iterator[bytes]:
        yield request
        raise LookupError("no such shop")

    def stream_unary(self, requests: Iterator[bytes], context: Any) -> bytes:
        raise LookupError("no such shop")

    def stream_stream(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        raise LookupError("no such shop")
        yield b""


def handlers(shop: Any) -> dict[str, Any]:
    return {k: getattr(grpc, f"{k}_rpc_method_handler")(getattr(shop, k)) for k in KINDS}


async def begin(channel: grpc.aio.Channel, kind: str, timeout: float | None = None) -> Any:
    """Begin a call, and have it be in its middle: a request is sent, an answer read."""
    method = getattr(channel, kind)(f"/Shop/{kind}")
    if kind.startswith("unary"):
        call = method(b"x", timeout=timeout, wait_for_ready=True)
    else:
        call = method(timeout=timeout, wait_for_ready=True)
        await call.write(b"x")
    if kind.endswith("stream"):
        assert await call.read() == b"x"
    return call


async def status(call: Any) -> grpc.StatusCode:
    return await asyncio.wait_for(call.code(), 10)


async def _read(call: Any) -> Any:
    try:
        return await call.read()
    except grpc.aio.AioRpcError:
        return None


@pytest.mark.parametrize("way", ["cancelled", "too late"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("style", [Async, Writing, Sync])
def test_a_call_that_its_client_has_given_up(serve: Any, style: type, kind: str, way: str) -> None:
    """Cancelled or past its deadline, it is over; and the next drain waits for nobody."""

    async def scenario() -> None:
        shop = style()
        async with serve(handlers(shop), settle=0.1, quiet=0.1) as served:
            call = await begin(served.channel, kind, 0.4 if way == "too late" else None)
            await until(lambda: served.in_flight == 1)
            if way == "cancelled":
                call.cancel()
            assert await status(call) in (
                grpc.StatusCode.CANCELLED,
                grpc.StatusCode.DEADLINE_EXCEEDED,
            )
            if (style, kind) == (Sync, "unary_unary"):
                shop.gate.set()
            await until(lambda: served.in_flight == 0)
            served.life.begin_drain("test")
            assert await served.life.drained() > 20  # of 30 - 2

    play(scenario)


def test_a_plain_function_is_counted_until_it_returns(serve: Any) -> None:
    """Its thread works on when the client is gone: what it writes should be written whole."""

    async def scenario() -> None:
        shop = Sync()
        async with serve(handlers(shop)) as served:
            call = await begin(served.channel, "unary_unary")
            await until(lambda: served.in_flight == 1)
            call.cancel()
            await status(call)
            began = time.monotonic()
            while time.monotonic() - began < 0.3:
                assert served.in_flight == 1
                await asyncio.sleep(0.02)
            shop.gate.set()
            await until(lambda: served.in_flight == 0)

    play(scenario)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("style", "expected"),
    [
        (Refusing, grpc.StatusCode.NOT_FOUND),
        (SyncRefusing, grpc.StatusCode.NOT_FOUND),
        (Failing, grpc.StatusCode.UNKNOWN),
        (SyncFailing, grpc.StatusCode.UNKNOWN),
    ],
)
def test_a_call_that_fails(serve: Any, style: type, expected: grpc.StatusCode, kind: str) -> None:
    """An abort or an exception of any kind of method reaches the client as it is, and is over."""

    async def scenario() -> None:
        async with serve(handlers(style())) as served:
            method = getattr(served.channel, kind)(f"/Shop/{kind}")
            call = method(b"x" if kind.startswith("unary") else iter([b"x"]), wait_for_ready=True)
            if kind.endswith("stream"):
                while (await _read(call)) not in (grpc.aio.EOF, None):
                    continue
            # From a thread, and with requests still coming, grpc.aio itself sometimes says INTERNAL.
            assert await status(call) in (expected, grpc.StatusCode.INTERNAL)
            await until(lambda: served.in_flight == 0)

    play(scenario)


def test_a_call_that_waits_for_a_thread_is_in_flight(serve: Any) -> None:
    """The pool is full: the server has taken the call, and will answer it."""

    async def scenario() -> None:
        shop = Sync()
        async with serve(handlers(shop)) as served:
            calls = [await begin(served.channel, "unary_unary") for _ in range(6)]  # of 4 threads
            await until(lambda: served.in_flight == 6)
            shop.gate.set()
            assert [await call for call in calls] == [b"x"] * 6
            await until(lambda: served.in_flight == 0)

    play(scenario)

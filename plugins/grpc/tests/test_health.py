"""`grpc.health.v1` says what the lifecycle says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import lifecycle
from lifecycle.runtime import core_of
from plugins.grpc.tests.scenario import play

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


async def check(served: Any, name: str = "") -> Any:
    stub = health_pb2_grpc.HealthStub(served.channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status


async def watch(served: Any, name: str) -> AsyncIterator[Any]:
    stub = health_pb2_grpc.HealthStub(served.channel)
    async for response in stub.Watch(health_pb2.HealthCheckRequest(service=name)):
        yield response.status


def test_it_serves_from_ready_to_the_drain(serve: Any) -> None:
    """NOT_SERVING before READY and from T0 on, for the process and for its service."""

    async def scenario() -> None:
        async with serve({}, ready=False, settle=0.5) as served:
            assert [await check(served), await check(served, "shop")] == [NOT_SERVING] * 2
            await served.life.ready()
            assert [await check(served), await check(served, "shop")] == [SERVING] * 2
            served.life.begin_drain("test")
            while [await check(served), await check(served, "shop")] != [NOT_SERVING] * 2:
                pass  # until the control thread has heard of it

    play(scenario)


def test_a_service_that_nobody_exported_is_not_found(serve: Any) -> None:
    """As the protocol has it."""

    async def scenario() -> None:
        async with serve({}) as served:
            with pytest.raises(grpc.aio.AioRpcError) as missing:
                await check(served, "other")
            assert missing.value.code() is grpc.StatusCode.NOT_FOUND

    play(scenario)


@pytest.mark.parametrize("name", ["", "shop"])
def test_a_watch_is_told_of_every_change(serve: Any, name: str) -> None:
    """READY, the operator's offline and online, the drain; at settle it ends."""

    async def scenario() -> None:
        async with serve({}, ready=False) as served:
            seen = watch(served, name)
            assert await anext(seen) == NOT_SERVING
            await served.life.ready()
            assert await anext(seen) == SERVING
            served.life.offline("shop", "an operator")
            assert await anext(seen) == NOT_SERVING
            served.life.online("shop")
            assert await anext(seen) == SERVING
            await served.life.services["shop"].set_offline("the app")
            assert await anext(seen) == NOT_SERVING
            await served.life.services["shop"].set_online()
            assert await anext(seen) == SERVING
            served.life.begin_drain("test")
            assert await anext(seen) == NOT_SERVING
            assert await anext(seen, None) is None

    play(scenario)


def test_offline_and_online_in_one_breath(serve: Any) -> None:
    """Who was told of the one is told of the other, though no registry has heard of either."""

    async def scenario() -> None:
        async with serve({}) as served:
            seen = watch(served, "shop")
            assert await anext(seen) == SERVING
            loop, services = asyncio.get_running_loop(), core_of(served.life).running().services

            def flip() -> None:
                services.hold(["shop"], "operator")
                asyncio.run_coroutine_threadsafe(served.health._tell("shop"), loop).result(10)
                services.release(["shop"], "operator")

            await asyncio.to_thread(core_of(served.life).control.call, flip)
            assert [await anext(seen), await anext(seen)] == [NOT_SERVING, SERVING]

    play(scenario)


def test_n_services_cost_n(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is looked at a few times in its life, from its export to the end of the drain."""
    looked: list[str] = []
    whether = lifecycle.Service.online.fget
    online = property(lambda each: looked.append(each.name) or whether(each))
    monkeypatch.setattr(lifecycle.Service, "online", online)
    count = 60

    async def scenario() -> None:
        async with serve({}, ready=False) as served:
            seen = watch(served, "s7")
            assert await anext(seen) == UNKNOWN
            for number in range(count):
                served.life.export(f"s{number}")
            await served.life.ready()
            while await anext(seen) != SERVING:
                continue
            served.life.begin_drain("test")
            assert await anext(seen) == NOT_SERVING
            await served.life.drained()

    play(scenario)
    assert 0 < len(looked) < 10 * count


def test_a_watch_of_a_service_to_come(serve: Any) -> None:
    """It is told when the service is exported."""

    async def scenario() -> None:
        async with serve({}) as served:
            seen = watch(served, "later")
            assert await anext(seen) == UNKNOWN
            served.life.export("later")
            assert await anext(seen) in (SERVING, NOT_SERVING)

    play(scenario)


def test_who_watches_holds_nobody_up(serve: Any) -> None:
    """A health watch is not in flight: a drain ends long before its deadline."""

    async def scenario() -> None:
        async with serve({}, settle=0.2, quiet=0.1) as served:
            seen = watch(served, "")
            assert await anext(seen) == SERVING
            assert served.in_flight == 0
            served.life.begin_drain("test")
            assert await served.life.drained() > 24  # of 30 - 2

    play(scenario)

"""A thousand losses of the connection: nothing grows."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from lifecycle_redis.options import Options
from lifecycle_redis.registry import RedisRegistry

import lifecycle
from plugins.redis.tests.conftest import Play

FLAPS = 1000


def sizes() -> tuple[int, int, int]:
    """Return the tasks, the threads and the descriptors of this process."""
    return len(asyncio.all_tasks()), threading.active_count(), len(os.listdir("/proc/self/fd"))


async def insist(call: Callable[[], Awaitable[None]]) -> int:
    """Call until it succeeds. Return how often it has failed."""
    for failures in range(100):
        try:
            await call()
        except lifecycle.LifecycleError:
            await asyncio.sleep(0)
        else:
            return failures
    raise AssertionError("it succeeds")


def test_a_thousand_flaps_leave_nothing_behind(play: Play) -> None:
    """The server closes our connection each time, before a registration and before its end."""

    async def scenario(app: Any) -> None:
        instance = lifecycle.Instance("stock", "10.0.0.7", 1, "orders-1/stock")
        async with app.run() as life:
            registry = RedisRegistry(life, Options(url=app.server.url), "0" * 32)
            with app.server.client() as client:
                async with registry:
                    await registry.register(instance)
                    await app.until(lambda: len(client.client_list()) == 3, "all are connected")
                    before, failures = sizes(), 0
                    for _ in range(FLAPS // 2):
                        client.client_kill_filter(_type="normal", skipme=True)
                        failures += await insist(lambda: registry.deregister(instance))
                        client.client_kill_filter(_type="normal", skipme=True)
                        failures += await insist(lambda: registry.register(instance))
                    assert failures > FLAPS * 0.9, "most calls have met a closed connection"
                    await app.until(lambda: len(client.client_list()) == 3, "all are connected")
                    await app.until(lambda: sizes() == before, f"{before} is what it was")
                    assert app.server.ports() == [1]
                    await registry.deregister(instance)
                assert app.server.ports() == []

    play(scenario)

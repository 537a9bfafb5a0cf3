"""A thousand losses of the connection: nothing grows."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from lifecycle_zookeeper.options import Options
from lifecycle_zookeeper.registry import make_registry

import lifecycle
from plugins.zookeeper.tests.conftest import Play
from plugins.zookeeper.tests.relay import Relay

FLAPS = 1000
pytestmark = pytest.mark.timeout(300)


def sizes() -> tuple[int, int, int]:
    """Return the tasks, the threads and the descriptors of this process."""
    return len(asyncio.all_tasks()), threading.active_count(), len(os.listdir("/proc/self/fd"))


def threads() -> list[str]:
    """Return the names of the threads of the plugin."""
    return [each.name for each in threading.enumerate() if each.name.startswith("zookeeper")]


async def insist(call: Callable[[], Awaitable[None]]) -> int:
    """Call until it succeeds. Return how often it has failed."""
    for failures in range(200):
        try:
            await call()
        except lifecycle.LifecycleError:
            await asyncio.sleep(0.01)
        else:
            return failures
    raise AssertionError("it succeeds")


def test_a_thousand_flaps_leave_nothing_behind(play: Play) -> None:
    """Our connection is closed each time, before a registration and before its end."""

    async def scenario(app: Any) -> None:
        instance = lifecycle.Instance("stock", "10.0.0.7", 1, "orders-1/stock")
        app.environment.delenv("LIFECYCLE_ZOOKEEPER_URL")
        async with app.run() as life, Relay(app.server.port) as relay:
            url = f"zookeeper://127.0.0.1:{relay.port}"
            registry = make_registry(life, Options(url=url, session=30))
            async with registry:
                await insist(lambda: registry.register(instance))
                assert len(threads()) == 3
                before, failures = sizes(), 0
                for _ in range(FLAPS // 2):
                    assert relay.cut(), "it is connected"
                    failures += await insist(lambda: registry.deregister(instance))
                    assert relay.cut(), "it is connected"
                    failures += await insist(lambda: registry.register(instance))
                assert relay.opened > FLAPS
                assert failures > FLAPS * 0.9, "most calls have met a closed connection"
                await app.until(lambda: sizes() == before, f"{before} is what it was")
                assert len(app.paths()) == 1
                await registry.deregister(instance)
            assert app.paths() == []
            await app.until(lambda: not threads(), "its threads have ended")

    play(scenario)

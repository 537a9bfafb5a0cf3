"""A consumer of a Redis stream, rolled against a real server: nothing lost, nothing done twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as NotUp

from tests.process.kit import App

EXAMPLE = Path(__file__).parents[2] / "examples" / "redis_worker.py"
ROLLOUTS = max(5, int(os.environ.get("ROLLOUTS", "5")))
SLOW = 0.4


async def _up(redis: Redis) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await redis.ping()
            except NotUp:
                await asyncio.sleep(0.02)
            else:
                return


async def _produce(redis: Redis, over: asyncio.Event) -> int:
    draw = random.Random(1)
    number = 0
    while not over.is_set():
        number += 1
        seconds = SLOW if draw.random() < 0.05 else 0
        await redis.xadd("orders", {"number": number, "seconds": seconds})
        await asyncio.sleep(draw.uniform(0, 0.02))
    return number


async def _everything_done(redis: Redis, produced: int) -> None:
    async with asyncio.timeout(30):
        while await redis.hlen("done") < produced:
            await asyncio.sleep(0.05)


@pytest.mark.timeout(60 + 10 * ROLLOUTS)
def test_a_worker_is_rolled(start: Callable[..., App], redis_url: str) -> None:
    """Two workers, rolled one after the other: each message done and acknowledged once."""

    def worker() -> App:
        return start(str(EXAMPLE), REDIS_URL=redis_url, LIFECYCLE_SETTLE="0.2")

    async def scenario() -> None:
        async with Redis.from_url(redis_url, decode_responses=True) as redis:
            await _up(redis)
            running = [worker(), worker()]
            for app in running:
                await asyncio.to_thread(app.wait_state, "ready")
            over = asyncio.Event()
            producing = asyncio.create_task(_produce(redis, over))
            for number in range(ROLLOUTS):
                fresh = worker()
                running.append(fresh)
                await asyncio.to_thread(fresh.wait_state, "ready")
                old = running.pop(0)
                if number % 2:
                    assert (await asyncio.wrap_future(old.prestop()))[0] == 200
                old.signal(signal.SIGTERM)
                assert await asyncio.to_thread(old.wait) == 0, old.stderr
                assert "messages done and acknowledged" in old.stdout
                assert "Unclosed" not in old.stderr, old.stderr
                assert not old.stdout.startswith("0 "), "it never had a message"
            over.set()
            produced = await producing
            await _everything_done(redis, produced)
            done = await redis.hgetall("done")
            await asyncio.sleep(0)
            for app in running:
                app.signal(signal.SIGTERM)
                assert await asyncio.to_thread(app.wait) == 0
            pending = await redis.xpending("orders", "workers")
            print(f"{ROLLOUTS} rollouts, {produced} messages, done once: {len(done)}")
            assert {int(number) for number in done} == set(range(1, produced + 1))
            assert set(done.values()) == {"1"}
            assert pending["pending"] == 0

    asyncio.run(scenario())


def test_an_idle_worker_leaves_at_once(start: Callable[..., App], redis_url: str) -> None:
    """Who waits for a message is not waited for: the blocking read is ended by the server."""

    async def scenario() -> None:
        async with Redis.from_url(redis_url, decode_responses=True) as redis:
            await _up(redis)
            app = start(str(EXAMPLE), REDIS_URL=redis_url, LIFECYCLE_SETTLE="0.1")
            await asyncio.to_thread(app.wait_state, "ready")
            at = app.signal(signal.SIGTERM)
            assert await asyncio.to_thread(app.wait) == 0, app.stderr
            assert asyncio.get_running_loop().time() - at < 3
            assert app.stdout == "0 messages done and acknowledged\n"
            assert "Traceback" not in app.stderr, app.stderr
            assert "Unclosed" not in app.stderr, app.stderr

    asyncio.run(scenario())

"""
A worker of a Redis stream: `python examples/redis_worker.py`, with `pip install redis`.

In a drain the worker finishes its message, acknowledges it, and fetches no more. If a worker was
killed, another worker claims its unacknowledged messages after a minute.

    redis-cli XADD orders '*' number 1 seconds 0.1
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator

from redis.asyncio import Redis
from redis.exceptions import ResponseError

import lifecycle

STREAM, GROUP = "orders", "workers"
NAME = os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}"
ABANDONED = 60_000  # milliseconds: longer than any message takes

Message = tuple[str, dict[str, str]]


async def messages(redis: Redis) -> AsyncIterator[Message]:
    """Give one message after the other; each is fetched when the one before is done."""
    async with redis.client() as own:  # the one connection that blocks
        number = await own.client_id()
        while True:
            fetching = asyncio.ensure_future(_fetch(own))
            try:
                fetched = await asyncio.shield(fetching)
            except asyncio.CancelledError:
                # The drain has started. A worker that disconnects now may lose the next message.
                # So Redis is asked to answer now. If it still gives a message, the worker does it.
                while not fetching.done():
                    await redis.client_unblock(number)
                    await asyncio.wait({fetching}, timeout=0.1)
                fetched = fetching.result()
                if not fetched:
                    raise
            for message in fetched:
                yield message


async def _fetch(own: Redis) -> list[Message]:
    _, abandoned, _ = await own.xautoclaim(STREAM, GROUP, NAME, ABANDONED, count=1)
    if abandoned:
        return abandoned
    fresh = await own.xreadgroup(GROUP, NAME, {STREAM: ">"}, count=1, block=5_000)
    return [message for _, batch in fresh for message in batch]


async def work(redis: Redis, message: Message) -> None:
    number, fields = message
    await asyncio.sleep(float(fields.get("seconds", 0)))
    await redis.hincrby("done", fields.get("number", number), 1)


async def main(life: lifecycle.Lifecycle) -> None:
    url = os.environ.get("REDIS_URL", "redis://localhost")
    async with Redis.from_url(url, decode_responses=True) as redis:
        try:
            await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

        @life.readiness
        async def redis_answers() -> bool:
            return await redis.ping()

        await life.ready()
        done = 0
        async for message in life.until_draining(messages(redis)):
            await work(redis, message)
            await redis.xack(STREAM, GROUP, message[0])
            done += 1
        print(f"{done} messages done and acknowledged", flush=True)


if __name__ == "__main__":
    lifecycle.run(main)

"""
A worker framework that handles the signals itself: FastStream on Redis.
`python examples/faststream_worker.py`, with `pip install 'faststream[redis]'`.

FastStream stops fetching in its own handler for SIGTERM. pod-lifecycle keeps this handler, and
calls it when the drain is over. So a `lifecycle_drain` hook ends FastStream when the drain starts.
"""

from __future__ import annotations

import asyncio
import os

from faststream import FastStream
from faststream.redis import RedisBroker

import lifecycle

# `graceful_timeout`: seconds for the messages that FastStream is working on.
broker = RedisBroker(os.environ.get("REDIS_URL", "redis://localhost"), graceful_timeout=20)
app = FastStream(broker)


@broker.subscriber(list="orders")
async def place(number: int) -> None:
    await asyncio.sleep(0.3)
    print("done", number, flush=True)


class StopFetching:
    """Ends FastStream when the drain starts; the drain waits until its messages are done."""

    def __init__(self, running: asyncio.Task[None]) -> None:
        self.running = running

    @lifecycle.hookimpl
    async def lifecycle_drain(self) -> None:
        app.exit()
        await asyncio.wait({self.running})


async def main(life: lifecycle.Lifecycle) -> None:
    running = asyncio.create_task(app.run())
    life.use(StopFetching(running))
    await life.ready()
    await running
    print("every message is done", flush=True)


if __name__ == "__main__":
    lifecycle.run(main)

"""
A queue worker that stops between two jobs: `python examples/queue_worker.py`.

The worker finishes its current job, and hands back the jobs that it has not started.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import lifecycle


async def jobs(queue: asyncio.Queue[int]) -> AsyncIterator[int]:
    while True:
        yield await queue.get()


async def produce(queue: asyncio.Queue[int]) -> None:
    number = 0
    while True:
        number += 1
        await queue.put(number)


async def main(life: lifecycle.Lifecycle) -> None:
    queue: asyncio.Queue[int] = asyncio.Queue(maxsize=10)
    producer = asyncio.create_task(produce(queue))
    await life.ready()
    done = 0
    async for _job in life.until_draining(jobs(queue)):
        await asyncio.sleep(0.2)  # the work
        done += 1
    producer.cancel()
    print(f"{done} jobs done, {queue.qsize()} handed back", flush=True)


if __name__ == "__main__":
    lifecycle.run(main)

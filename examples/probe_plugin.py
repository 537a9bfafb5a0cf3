"""
A probe plugin as a class, with an option and a drain hook: `python examples/probe_plugin.py`.

The plugin has the name of the class, so LIFECYCLE_BACKLOG_LIMIT=5 sets its option. To see its
answer:

    curl 'localhost:22222/ready?verbose'
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass

import lifecycle

PORT = int(os.environ.get("PORT", "8080"))


@dataclass(frozen=True)
class Options:
    limit: int = 100

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise ValueError(f"limit={self.limit}: must be 0 or more")


class Backlog:
    """Not ready while too much waits; a drain waits until all of it is written."""

    def __init__(self) -> None:
        self.orders: asyncio.Queue[bytes] = asyncio.Queue()

    @lifecycle.hookimpl
    def lifecycle_options(self) -> type[Options]:
        return Options

    @lifecycle.hookimpl
    def lifecycle_readiness(self, me: lifecycle.Me) -> lifecycle.ProbeResult:
        waiting, limit = self.orders.qsize(), me.options(Options).limit
        return lifecycle.ProbeResult(waiting <= limit, f"{waiting} orders wait, limit {limit}")

    @lifecycle.hookimpl
    async def lifecycle_drain(self, drain: lifecycle.Drain) -> None:
        await drain.settled()  # until then orders still arrive
        await self.orders.join()
        print(f"all orders are written, {drain.time_left():.0f} s left", flush=True)

    async def write(self) -> None:
        while True:
            await self.orders.get()
            await asyncio.sleep(1)  # a slow disk
            self.orders.task_done()


backlog = Backlog()


async def main(life: lifecycle.Lifecycle) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with life.track():
            backlog.orders.put_nowait(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
        writer.close()

    disk = asyncio.create_task(backlog.write())
    server = await asyncio.start_server(handle, "0.0.0.0", PORT)
    life.export("orders", port=PORT)
    await life.ready()
    await life.drained()
    server.close()
    disk.cancel()


if __name__ == "__main__":
    lifecycle.run(main, plugins=[backlog])

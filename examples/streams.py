"""
A plain asyncio server that uses the `Lifecycle` argument: `python examples/streams.py`.

    curl localhost:8080; curl localhost:22222/ready; lifecycle status
"""

from __future__ import annotations

import asyncio
import os

import lifecycle

PORT = int(os.environ.get("PORT", "8080"))
ANSWER = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nok\n"


async def main(life: lifecycle.Lifecycle) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with life.track():  # one piece of work in flight: the drain waits for it
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "0.0.0.0", PORT)
    life.export("orders", port=PORT)  # STARTING → EXPORTING
    await life.ready()  # registers: → REGISTERED → READY
    await life.drained()  # returns when the drain is over
    server.close()


if __name__ == "__main__":
    lifecycle.run(main)

"""When SIGTERM comes it closes, for a second and a half, whatever waits: new connections too."""

from __future__ import annotations

import asyncio
import signal
import sys

waiting: set[asyncio.StreamWriter] = set()


async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            waiting.add(writer)
            await reader.readuntil(b"\r\n\r\n")
            waiting.discard(writer)
            closes = b"Connection: close\r\n" if leaving.is_set() else b""
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + closes + b"\r\nok")
    except (asyncio.IncompleteReadError, OSError):
        waiting.discard(writer)
        writer.close()


async def main() -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, leaving.set)
    async with await asyncio.start_server(handle, "127.0.0.1", int(sys.argv[1])):
        await leaving.wait()
        for _ in range(15):
            await asyncio.sleep(0.1)
            for writer in [*waiting]:
                writer.close()


leaving = asyncio.Event()
asyncio.run(main())

"""Cuts whatever is in flight when SIGTERM comes; /slow takes a second."""

from __future__ import annotations

import asyncio
import os
import signal
import sys


async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if b" /slow " in head:
                await asyncio.sleep(1.0)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    except (asyncio.IncompleteReadError, OSError):
        writer.close()


async def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
    server = await asyncio.start_server(handle, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


asyncio.run(main())

"""
Servers of which each has one fault: `python faulty.py FAULT PORT`.

    first    closes connections that have not asked yet, new ones too, when SIGTERM comes
    idle     closes idle kept connections without having said so, when SIGTERM comes
    upload   closes connections on which a body is arriving, when SIGTERM comes
    queue    accepts nobody once SIGTERM has come, and closes its listener later

Apart from that each goes on serving for a while, and says Connection: close.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import socket
import sys

WAITING, SENDING, SERVED = "waiting", "sending", "served"
TIME = 1.5


class Connections:
    """What each connection is at."""

    def __init__(self) -> None:
        self.leaving = asyncio.Event()
        self._at: dict[asyncio.StreamWriter, str] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at = WAITING
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                self._at[writer] = at
                head = await reader.readuntil(b"\r\n\r\n")
                self._at[writer] = SENDING
                size = re.search(rb"Content-Length: (\d+)", head)
                await reader.readexactly(int(size[1]) if size else 0)
                closes = self.leaving.is_set() and FAULT != "idle"
                says = b"Connection: close\r\n" if closes else b""
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + says + b"\r\nok")
                at = SERVED
        self._at.pop(writer, None)
        writer.close()

    def close(self, at: str) -> None:
        for writer in [writer for writer, now in self._at.items() if now == at]:
            writer.close()


async def until_sigterm(connections: Connections) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, connections.leaving.set)
    await connections.leaving.wait()


async def close_when_leaving(connections: Connections, port: int) -> None:
    closed = {"first": WAITING, "idle": SERVED, "upload": SENDING}[FAULT]
    async with await asyncio.start_server(connections.serve, "127.0.0.1", port):
        await until_sigterm(connections)
        for _ in range(int(TIME / 0.1)):
            connections.close(closed)
            await asyncio.sleep(0.1)


async def leave_some_in_the_queue(connections: Connections, port: int) -> None:
    async def serve(sock: socket.socket) -> None:
        await connections.serve(*await asyncio.open_connection(sock=sock))

    def accept() -> None:
        with contextlib.suppress(BlockingIOError):
            serving.add(asyncio.create_task(serve(listener.accept()[0])))

    serving: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", port), backlog=1000) as listener:
        listener.setblocking(False)
        loop.add_reader(listener, accept)
        await until_sigterm(connections)
        loop.remove_reader(listener)  # one that has been accepted is served
        await asyncio.sleep(TIME)


FAULT = sys.argv[1]
main = leave_some_in_the_queue if FAULT == "queue" else close_when_leaving
asyncio.run(main(Connections(), int(sys.argv[2])))

"""HTTP/1.1 as a careful client speaks it: it never uses a connection that it knows is closed."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

TIMEOUT = 10.0


class Lost(Exception):
    """No answer came: refused, reset, cut off, late, or not 200."""


class Refused(Lost):
    """An answer came, but not 200."""


class Connection:
    """One connection to one replica."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._told_to_close = False

    @classmethod
    async def open(cls, port: int) -> Self:
        try:
            async with asyncio.timeout(TIMEOUT):
                return cls(*await asyncio.open_connection("127.0.0.1", port))
        except (OSError, TimeoutError) as error:
            raise Lost(f"connect: {type(error).__name__}") from None

    @property
    def usable(self) -> bool:
        ended = self._reader.at_eof() or self._writer.is_closing()
        return not (ended or self._told_to_close or self._reader.exception())

    async def ask(self, method: str, path: str, *, keep: bool = False) -> str:
        """Send one request; returns the body of a 200, anything else is `Lost`."""
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
        head += "\r\n" if keep else "Connection: close\r\n\r\n"
        try:
            async with asyncio.timeout(TIMEOUT):
                self._writer.write(head.encode())
                await self._writer.drain()
                status, body = await self._answer()
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            raise Lost(f"no answer: {type(error).__name__}") from None
        if status != 200:
            raise Refused(f"status {status}")
        return body

    async def _answer(self) -> tuple[int, str]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status_line, *lines = head.split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        self._told_to_close = headers.get("connection") == "close"
        body = await self._reader.readexactly(int(headers["content-length"]))
        return int(status_line.split(" ", 2)[1]), body.decode()

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def get(port: int, path: str) -> str:
    """Ask once, over a connection of its own, as a kubelet does."""
    connection = await Connection.open(port)
    try:
        return await connection.ask("GET", path)
    finally:
        await connection.close()


async def verdict(port: int, path: str) -> bool | None:
    """Ask a probe: its verdict, or None if nobody answers."""
    try:
        await get(port, path)
    except Refused:
        return False
    except Lost:
        return None
    return True

"""An HTTP/1.1 client that sees all: every header, and the end of an idle connection."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Mapping
from typing import Final, Self

from tests.process.wire import Answer

TIME: Final = 5.0
"""Seconds for a whole response."""


class Lost(Exception):
    """A request got no whole response; the argument says why."""


class Connection:
    """One HTTP/1.1 connection over raw streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._poll = select.poll()
        self._poll.register(writer.get_extra_info("socket").fileno(), select.POLLIN)

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect to a server on this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    @property
    def over(self) -> bool:
        """True if the server has closed it, or sent what nobody asked for."""
        # Asked of the kernel: what this loop has not got round to read counts as seen too.
        return self._reader.at_eof() or bool(self._poll.poll(0))

    async def ask(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        within: float | None = TIME,
    ) -> Answer:
        """
        Send one request and read its whole response.

        Raises:
            Lost: There is none.
        """
        method = "POST" if body else "GET"
        lines = {"Host": "localhost", "User-Agent": "test/1", **(headers or {})}
        if body:
            lines["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        try:
            async with asyncio.timeout(within):
                self._writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
                return await self._read()
        except TimeoutError:
            raise Lost("timeout") from None
        except asyncio.IncompleteReadError as cut:
            raise Lost("cut off" if cut.partial else "eof") from None
        except OSError as error:
            raise Lost(f"reset ({type(error).__name__})") from None

    async def _read(self) -> Answer:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split()[1])
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        if headers.get("transfer-encoding") == "chunked":
            body = await self._chunks()
        elif "content-length" in headers:
            body = await self._reader.readexactly(int(headers["content-length"]))
        else:
            raise Lost("a response without a length")
        return Answer(status, headers, body)

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
        return body

    async def read(self) -> bytes:
        """Return what comes next, b"" at the end."""
        return await self._reader.read(65536)

    def close(self) -> None:
        """Close it."""
        self._writer.close()

"""
A flood: one way to keep a port busy with 2 MB/s, or with connections; a process of its own.

    python -m tests.fuzz.flooder NAME PORT

It goes on until its stdin is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import ssl
import struct
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from tests.fuzz import http2, websocket
from tests.fuzz.pace import Pace
from tests.fuzz.tls import context, hello

BLOCK: Final = 16_384
"""Bytes written at once."""
LANES: Final = 4
"""Connections that a flood of bytes uses at a time."""
CROWD: Final = 1000
ARRIVALS: Final = 500.0
"""New connections a second, at most."""
AGAIN: Final = 0.02
"""Seconds before a lane connects again."""

REQUEST: Final = b"GET /ok HTTP/1.1\r\nHost: 127.0.0.1\r\n"
UNREAD: Final = (
    b"POST /ok HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"1\r\nx\r\n" * 40
    + b"0\r\n\r\n"
)


class Flood:
    """What all floods stand on."""

    def __init__(self, port: int, *, tls: bool) -> None:
        self._port = port
        self._tls = context() if tls else None
        self._pace = Pace()
        self._arrivals = Pace(ARRIVALS)

    async def lane(
        self, first: bytes, block: Callable[[int], bytes], *, reads: bool = True
    ) -> None:
        """Send `first`, then blocks, numbered, for as long as the server lets it; and again."""
        while True:
            with contextlib.suppress(OSError, ssl.SSLError):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", self._port, ssl=self._tls
                )
                reading = asyncio.create_task(_read(reader, reads=reads))
                try:
                    writer.write(first)
                    number = 0
                    while not writer.is_closing() and (not reads or not reading.done()):
                        data = block(number)
                        number += 1
                        await self._pace.leave(len(data))
                        writer.write(data)
                        await writer.drain()
                finally:
                    reading.cancel()
                    writer.close()
            await asyncio.sleep(AGAIN)

    async def crowd(self, first: bytes, then: bytes = b"", *, every: float = 0.5) -> None:
        """Hold one connection of many: say `first`, then dribble `then`; and again."""
        while True:
            await self._arrivals.leave(1)
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    writer.write(first)
                    reading = asyncio.create_task(_read(reader, reads=True))
                    while then and not reading.done():
                        await asyncio.wait({reading}, timeout=every)
                        writer.write(then)
                    await reading
                finally:
                    writer.close()


async def _read(reader: asyncio.StreamReader, *, reads: bool) -> None:
    with contextlib.suppress(OSError):
        while reads and await reader.read(65536):
            pass


def _same(unit: bytes) -> Callable[[int], bytes]:
    block = unit * max(1, BLOCK // len(unit))
    return lambda _: block


def _streams(make: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Make blocks of frames on streams that are new each time."""
    each = max(1, BLOCK // len(make(1)))

    def block(number: int) -> bytes:
        return b"".join(make(2 * (number * each + n) + 1) for n in range(each))

    return block


def _one(stream: int) -> bytes:
    return http2.frame(http2.HEADERS, http2.END_STREAM | http2.END_HEADERS, stream, _OK)


def _open(stream: int) -> bytes:
    return http2.frame(http2.HEADERS, http2.END_HEADERS, stream, _OK)


def _reset(stream: int) -> bytes:
    return _open(stream) + http2.frame(http2.RST, 0, stream, struct.pack("!I", 8))


_OK: Final = http2.fields("ok")
H2: Final = http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0)

Part = Callable[[Flood], Awaitable[None]]


def _h2(first: bytes, block: Callable[[int], bytes], *, reads: bool = True) -> Part:
    return lambda flood: flood.lane(H2 + first, block, reads=reads)


def _h1(block: bytes, *, first: bytes = b"", reads: bool = True) -> Part:
    return lambda flood: flood.lane(first, _same(block), reads=reads)


def _crowd(first: bytes, then: bytes = b"") -> Part:
    return lambda flood: flood.crowd(first, then)


FLOODS: Final[dict[str, tuple[int, Part]]] = {
    "h2 settings": (LANES, _h2(b"", _same(http2.frame(http2.SETTINGS, 0, 0)))),
    "h2 ping": (LANES, _h2(b"", _same(http2.frame(http2.PING, 0, 0, b"12345678")))),
    "h2 window": (
        LANES,
        _h2(b"", _same(http2.frame(http2.WINDOW, 0, 0, struct.pack("!I", 1)))),
    ),
    "h2 priority": (
        LANES,
        _h2(b"", _streams(lambda s: http2.frame(http2.PRIORITY, 0, s, struct.pack("!IB", 0, 1)))),
    ),
    "h2 rst": (
        LANES,
        _h2(b"", _streams(lambda s: _one(s) + http2.frame(http2.RST, 0, s, struct.pack("!I", 8)))),
    ),
    "h2 requests": (LANES, _h2(b"", _streams(_one))),
    "h2 requests, deaf": (LANES, _h2(b"", _streams(_one), reads=False)),
    "h2 continuation": (
        LANES,
        _h2(
            http2.frame(http2.HEADERS, 0, 1, _OK),
            _same(http2.frame(http2.CONTINUATION, 0, 1, b"\x40\x01a\x01b" * 20)),
        ),
    ),
    "h2 empty data": (LANES, _h2(_open(1), _same(http2.frame(http2.DATA, 0, 1)))),
    "h2 reset, headers": (LANES, _h2(_reset(1), _same(_one(1)))),
    "h2 reset, data": (
        LANES,
        _h2(_reset(1), _same(http2.frame(http2.DATA, http2.END_STREAM, 1))),
    ),
    "h2 garbage": (LANES, _h2(b"", _same(http2.frame(77, 255, 9, b"x" * 40)))),
    "h2 goaway": (
        LANES,
        _h2(b"", _same(http2.frame(http2.GOAWAY, 0, 0, struct.pack("!II", 0, 0)))),
    ),
    "h1 unread bodies": (LANES, _h1(UNREAD)),
    "h1 unread upload": (
        LANES,
        _h1(
            b"x" * BLOCK,
            first=b"POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
        ),
    ),
    "h1 pipelining": (LANES, _h1(REQUEST + b"\r\n")),
    "h1 pipelining, deaf": (LANES, _h1(REQUEST + b"\r\n", reads=False)),
    "ws unread": (
        LANES,
        _h1(websocket.frame(1, b"hello"), first=websocket.handshake("close")),
    ),
    "tls unread bodies": (LANES, _h1(UNREAD)),
    "tls h2 settings": (LANES, _h2(b"", _same(http2.frame(http2.SETTINGS, 0, 0)))),
    "silent crowd": (CROWD, _crowd(b"")),
    "slow headers": (CROWD, _crowd(REQUEST + b"X: ", b"y")),
    "half handshakes": (CROWD, _crowd(hello())),
    "split handshakes": (CROWD, _crowd(hello()[:100])),
}


INSIDE_TLS: Final = frozenset(name for name in FLOODS if name.startswith("tls "))
"""Floods that come after a handshake."""


async def flood(name: str, port: int) -> None:
    """Flood until stdin is closed; a line on stdout says that it begins."""
    many, part = FLOODS[name]
    source = Flood(port, tls=name in INSIDE_TLS)
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    loop.add_reader(0, lambda: over.done() or over.set_result(None))
    lanes = [asyncio.ensure_future(part(source)) for _ in range(many)]
    print("flooding", flush=True)
    await asyncio.wait({over, *lanes}, return_when=asyncio.FIRST_COMPLETED)
    for lane in lanes:
        if lane.done():
            lane.result()
        lane.cancel()
    await asyncio.wait(lanes)


def main() -> None:
    """Flood."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    name, port = sys.argv[1:]
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # writing to who has gone is the point
    asyncio.run(flood(name, int(port)))


if __name__ == "__main__":
    main()

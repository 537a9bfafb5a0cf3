"""HTTP/2 with prior knowledge: frames of any kind, in any order, right and wrong."""

from __future__ import annotations

import random
import struct
from typing import Final

import hpack

from tests.fuzz.case import Case, End
from tests.fuzz.http1 import APP, ODD, QOS
from tests.fuzz.mutation import in_pieces, mutated

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK = 1, 4, 1
WIDE: Final = struct.pack("!HI", 4, 2**31 - 1)
"""The setting with which every stream's window is as wide as it can be."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return one frame."""
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def opening(settings: bytes = WIDE) -> bytes:
    """Return how a client begins that lets the server send whatever it likes."""
    window = frame(WINDOW, 0, 0, struct.pack("!I", 2**31 - 1 - 65535))
    return PREFACE + frame(SETTINGS, 0, 0, settings) + window


def fields(path: str, *, method: str = "GET", more: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Return a header block."""
    pseudo = ((":method", method), (":path", f"/{path}"), (":scheme", "http"), (":authority", "a"))
    return hpack.Encoder().encode([*pseudo, *more])


def answered(received: bytes) -> int:
    """Return how many streams the server has ended."""
    ended, at = 0, 0
    while at + 9 <= len(received):
        size, kind, flags = (
            int.from_bytes(received[at : at + 3]),
            received[at + 3],
            received[at + 4],
        )
        ended += (kind in (DATA, HEADERS) and bool(flags & END_STREAM)) or kind == RST
        at += 9 + size
    return ended


def case(draw: random.Random, *, qos: bool = False) -> Case:
    """Make one connection."""
    streams = draw.choice((1, 1, 3, 10, 30))
    end = draw.choice((End.CLOSE, End.CLOSE, End.HALF, End.RESET))
    if draw.random() < 0.4:
        parts = [_request(draw, 2 * n + 1, qos=qos) for n in range(streams)]
        parts += [_harmless(draw) for _ in range(draw.choice((0, 2, 8)))]
        # Header blocks depend on each other in no way: the encoder is new for each.
        data = opening() + b"".join(parts)

        def satisfied(received: bytes) -> bool:
            return answered(received) >= streams

        return Case(in_pieces(draw, data), streams, satisfied, end)
    numbers = [draw.choice((1, 3, 5, 2 * n + 1, 2 * n + 1, 2 * n + 1)) for n in range(streams)]
    parts = [_request(draw, number, qos=qos, odd=True) for number in numbers]
    parts += [_any(draw) for _ in range(draw.choice((1, 5, 40)))]
    if draw.random() < 0.5:
        draw.shuffle(parts)
    settings = draw.choice((WIDE, b"", struct.pack("!HI", 4, 0), struct.pack("!HI", 5, 1)))
    data = opening(settings) + b"".join(parts)
    if draw.random() < 0.4:
        data = mutated(draw, data)
    if draw.random() < 0.1:
        data = _upgrade(qos=qos) + data
    return Case(in_pieces(draw, data), streams, None, end)


def _request(draw: random.Random, stream: int, *, qos: bool, odd: bool = False) -> bytes:
    path = draw.choice(QOS if qos else (*APP, *ODD) if odd else APP)
    if draw.random() < 0.6:
        block = fields(path)
        return _headers(draw, stream, block, END_STREAM)
    bodies = [b"x" * draw.choice((0, 1, 1, 100, 1000)) for _ in range(draw.choice((1, 3, 12, 30)))]
    data = [frame(DATA, 0, stream, each) for each in bodies]
    last = frame(DATA, END_STREAM, stream)
    if odd and draw.random() < 0.5:
        last = frame(RST, 0, stream, struct.pack("!I", draw.randrange(16)))
    return _headers(draw, stream, fields(path, method="POST"), 0) + b"".join(data) + last


def _headers(draw: random.Random, stream: int, block: bytes, flags: int) -> bytes:
    if draw.random() < 0.8:
        return frame(HEADERS, flags | END_HEADERS, stream, block)
    at = draw.randrange(len(block) + 1)
    rest = frame(CONTINUATION, END_HEADERS, stream, block[at:])
    return frame(HEADERS, flags, stream, block[:at]) + rest


def _harmless(draw: random.Random) -> bytes:
    match draw.randrange(4):
        case 0:
            return frame(PING, 0, 0, draw.randbytes(8))
        case 1:
            return frame(SETTINGS, 0, 0, WIDE)
        case 2:
            return frame(PRIORITY, 0, 2 * draw.randrange(1, 50) + 1, struct.pack("!IB", 0, 5))
        case _:
            return frame(draw.randrange(10, 256), draw.randrange(256), 0, draw.randbytes(5))


def _any(draw: random.Random) -> bytes:
    stream = draw.choice((0, 1, 1, 2, 3, 5, 7, 2**31 - 1))
    match draw.randrange(10):
        case 0:
            return _harmless(draw)
        case 1:
            return frame(WINDOW, 0, stream, struct.pack("!I", draw.choice((0, 1, 2**31 - 1))))
        case 2:
            return frame(RST, 0, stream, struct.pack("!I", draw.randrange(20)))
        case 3:
            setting = struct.pack("!HI", draw.randrange(9), draw.choice((0, 1, 2**24, 2**32 - 1)))
            return frame(SETTINGS, draw.randrange(2), 0, setting)
        case 4:
            return frame(GOAWAY, 0, 0, struct.pack("!II", stream, draw.randrange(14)))
        case 5:
            return frame(CONTINUATION, draw.choice((0, 4)), stream, draw.randbytes(20))
        case 6:
            return frame(HEADERS, draw.randrange(64), stream, draw.randbytes(draw.randrange(60)))
        case 7:
            return frame(DATA, draw.randrange(16), stream, draw.randbytes(draw.randrange(60)))
        case 8:
            more = tuple((f"x-{n}", "y" * 200) for n in range(draw.choice((1, 50, 400))))
            return frame(
                HEADERS, END_STREAM | END_HEADERS, stream | 1, fields("ok", more=more)[:16000]
            )
        case _:
            return frame(draw.randrange(12), draw.randrange(256), stream, draw.randbytes(9))


def _upgrade(*, qos: bool) -> bytes:
    path = "live" if qos else "ok"
    upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAQAAP__\r\n"
    return f"GET /{path} HTTP/1.1\r\nHost: a\r\n{upgrade}\r\n".encode()

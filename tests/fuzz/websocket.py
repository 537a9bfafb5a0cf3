"""WebSockets: handshakes, frames, and what is neither."""

from __future__ import annotations

import random
import struct
from typing import Final

from tests.fuzz.case import Case, End
from tests.fuzz.mutation import in_pieces, mutated

PATHS: Final = ("echo", "echo", "close", "close", "think", "return", "refuse", "raise")
CLOSES: Final = (1000, 1001, 1002, 1005, 1006, 1015, 3000, 4999, 0, 65535)


def handshake(path: str, *, version: int = 13, key: str = "dGhlIHNhbXBsZSBub25jZQ==") -> bytes:
    """Return the request that opens one."""
    return (
        f"GET /{path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: {version}\r\n\r\n"
    ).encode()


def frame(
    opcode: int, payload: bytes, *, fin: bool = True, bits: int = 0, mask: bool = True
) -> bytes:
    """Return one frame of a client's."""
    size, masked = len(payload), 0x80 * mask
    if size < 126:
        head = bytes((0x80 * fin | bits | opcode, masked | size))
    elif size < 65536:
        head = bytes((0x80 * fin | bits | opcode, masked | 126)) + struct.pack("!H", size)
    else:
        head = bytes((0x80 * fin | bits | opcode, masked | 127)) + struct.pack("!Q", size)
    # A mask of zeros leaves the payload as it is.
    return head + (b"\0\0\0\0" if mask else b"") + payload


def case(draw: random.Random, *, qos: bool = False) -> Case:
    """Make one connection."""
    path = "live" if qos else draw.choice(PATHS)
    opening = handshake(path)
    frames = b"".join(_frame(draw) for _ in range(draw.choice((0, 1, 5, 25, 60))))
    ending = frame(8, struct.pack("!H", 1000))
    end = draw.choice((End.CLOSE, End.HALF, End.RESET))
    match draw.randrange(6):
        case 0:
            return Case(in_pieces(draw, mutated(draw, opening) + frames), 1, None, end)
        case 1:
            return Case([opening, 0.005, mutated(draw, frames + ending)], 1, None, end)
        case 2:
            odd = b"".join(_odd(draw) for _ in range(draw.randint(1, 4)))
            return Case([opening, draw.choice((0.0, 0.01)), frames + odd], 1, None, end)
        case 3:
            return Case([opening, 0.005, frames], 1, None, draw.choice((End.CLOSE, End.RESET)))
        case _:
            # Whatever the app does with what it was sent: the connection has an end.
            pause = draw.choice((0.0, 0.005, 0.08))
            return Case([opening, pause, frames + ending], 1, lambda _: False, End.CLOSE)


def _frame(draw: random.Random) -> bytes:
    match draw.randrange(5):
        case 0:
            return frame(9, b"p" * draw.choice((0, 4, 125)))
        case 1:
            return frame(
                2, b"x" * (draw.choice((0, 1, 126, 1000)) if draw.random() < 0.98 else 66_000)
            )
        case 2:
            return frame(1, b"a", fin=False) + frame(9, b"") + frame(0, b"b")
        case 3:
            return frame(10, b"")
        case _:
            return frame(1, b"hello")


def _odd(draw: random.Random) -> bytes:
    match draw.randrange(7):
        case 0:
            return frame(draw.choice((3, 7, 11, 15)), b"x")
        case 1:
            return frame(9, b"x" * 126)
        case 2:
            return frame(1, b"x", bits=draw.choice((0x40, 0x20, 0x10)))
        case 3:
            return frame(1, b"\xff\xfe")
        case 4:
            return frame(8, struct.pack("!H", draw.choice(CLOSES)) + b"\xff" * draw.randrange(4))
        case 5:
            return frame(1, b"x", mask=False)
        case _:
            return b"\x82\xff" + struct.pack("!Q", 1 << draw.randrange(20, 63)) + b"\0" * 100

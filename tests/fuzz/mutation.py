"""Bytes made wrong: what every protocol's generator does to its own."""

from __future__ import annotations

import random
from collections.abc import Sequence


def mutated(draw: random.Random, data: bytes, words: Sequence[bytes] = ()) -> bytes:
    """Return bytes with one to four things done to them."""
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(data) + 1)
        to = min(len(data), at + draw.choice((1, 1, 2, 4, 16, 200)))
        match draw.randrange(7):
            case 0:
                data = data[:at] + draw.randbytes(to - at) + data[to:]
            case 1:
                data = data[:at] + data[to:]
            case 2:
                data = data[:to] + data[at:to] * draw.randint(1, 3) + data[to:]
            case 3:
                data = data[:at]
            case 4 if words:
                data = data[:at] + draw.choice(words) + data[at:]
            case 5 if at < len(data):
                data = data[:at] + bytes((data[at] ^ 1 << draw.randrange(8),)) + data[at + 1 :]
            case _:
                data = data[:at] + draw.randbytes(draw.randint(1, 64)) + data[at:]
    return data


def in_pieces(draw: random.Random, data: bytes) -> list[bytes | float]:
    """Cut bytes as a network may: at once, in two, byte by byte, with pauses between."""
    match draw.randrange(8):
        case 0:
            at = draw.randrange(len(data) + 1)
            return [data[:at], draw.choice((0.0, 0.001, 0.01)), data[at:]]
        case 1 if len(data) < 400:
            return [part for each in data for part in (bytes((each,)), 0.0)]
        case 2:
            size = draw.choice((7, 64, 1000))
            return [data[at : at + size] for at in range(0, len(data), size)]
        case _:
            return [data]

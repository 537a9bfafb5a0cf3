"""HTTP/1.1 as nobody should speak it, and as many do."""

from __future__ import annotations

import random
import re
from typing import Final

from tests.fuzz.case import Case, End
from tests.fuzz.mutation import in_pieces, mutated

APP: Final = ("ok", "ok", "ok", "read", "read", "think", "return", "big")
ODD: Final = ("raise", "broken", "gone")
QOS: Final = (
    "live",
    "ready",
    "startup",
    "live?verbose",
    "status",
    "help",
    "ls",
    "nosuch",
    "ready/x",
)
METHODS: Final = ("GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS")
WORDS: Final = (
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"\r\n\r\n", b"\xff", b"0\r\n\r\n", b"%00"),
    *(b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Content-Length: -1\r\n"),
    *(b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"Host: x\r\n"),
    *(b"Expect: 100-continue\r\n", b"Content-Length: 99999999999999999999\r\n", b"HTTP/9.9"),
    *(b"Transfer-Encoding: gzip, chunked\r\n", b"X: " + b"a" * 9000 + b"\r\n", b"ffffffff\r\n"),
)
HEAD: Final = re.compile(rb"HTTP/1\.[01] [2-5]\d\d ")


def case(draw: random.Random, *, qos: bool = False) -> Case:
    """Make one connection."""
    requests = draw.choice((1, 1, 2, 4, 8, 20))
    heads = draw.random() < 0.05
    data = b"".join(_request(draw, qos=qos, heads=heads) for _ in range(requests))
    end = draw.choice((End.CLOSE, End.CLOSE, End.HALF, End.RESET))
    match draw.randrange(10):
        case 0 | 1 | 2:
            broken = mutated(draw, data, WORDS)
            return Case(in_pieces(draw, broken), requests, None, end)
        case 3:
            return Case(in_pieces(draw, data[: draw.randrange(len(data))]), requests, None, end)
        case 4:
            return Case([data], requests, None, draw.choice((End.CLOSE, End.RESET)))
        case 5 if not qos:
            path = draw.choice(ODD)
            odd = f"GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
            return Case([data + odd], requests + 1, None, End.CLOSE)
        case _:

            def satisfied(received: bytes) -> bool:
                return len(HEAD.findall(received)) >= requests

            return Case(in_pieces(draw, data), requests, satisfied, end)


def _request(draw: random.Random, *, qos: bool, heads: bool) -> bytes:
    method = "HEAD" if heads else draw.choice(METHODS if draw.random() < 0.3 else ("GET", "POST"))
    path = draw.choice(QOS if qos else APP)
    lines = [f"{method} /{path} HTTP/1.1", f"Host: {draw.choice(('a', 'localhost', '127.0.0.1'))}"]
    lines += [f"X-{n}: {'y' * draw.randrange(40)}" for n in range(draw.choice((0, 0, 1, 5, 30)))]
    if draw.random() < 0.1:
        lines.append("Connection: close")
    extra, body = _body(draw) if method not in ("GET", "HEAD") or draw.random() < 0.2 else ([], b"")
    return "\r\n".join([*lines, *extra, "", ""]).encode() + body


def _body(draw: random.Random) -> tuple[list[str], bytes]:
    size = draw.choice((0, 1, 10, 100, 1000)) if draw.random() < 0.97 else 70_000
    match draw.randrange(7):
        case 0 | 1:
            return ["Transfer-Encoding: chunked"], b"1\r\nx\r\n" * draw.randint(
                1, 60
            ) + b"0\r\n\r\n"
        case 2:
            return ["Transfer-Encoding: chunked"], b"%x\r\n%b\r\n0\r\n\r\n" % (
                size + 1,
                b"x" * (size + 1),
            )
        case 3:
            both = ["Content-Length: 3", "Transfer-Encoding: chunked"]
            return both, b"1\r\nx\r\n" * draw.randint(0, 12) + b"0\r\n\r\n"
        case 4:
            return [f"Content-Length: {size}", "Expect: 100-continue"], b"x" * size
        case _:
            return [f"Content-Length: {size}"], b"x" * size

"""A port that speaks TLS: handshakes that stop half way, plain bytes, and what comes after."""

from __future__ import annotations

import random
import ssl

from tests.fuzz import http1, http2, websocket
from tests.fuzz.case import Case, End
from tests.fuzz.mutation import in_pieces, mutated


def context(*, http2: bool = False) -> ssl.SSLContext:
    """Return a client's side that believes everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if http2:
        context.set_alpn_protocols(["h2"])
    return context


_CONTEXT = context()


def hello() -> bytes:
    """Return the first bytes of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = _CONTEXT.wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake without a server")


def case(draw: random.Random, *, qos: bool = False) -> Case:
    """Make one connection."""
    end = draw.choice((End.CLOSE, End.RESET))
    match draw.randrange(10):
        case 0:
            whole = hello()
            part = whole[: draw.randrange(len(whole))]
            return Case([*in_pieces(draw, part), draw.choice((0.0, 0.02))], 1, None, end)
        case 1:
            return Case([mutated(draw, hello())], 1, None, end)
        case 2:
            return Case([hello(), draw.choice((0.0, 0.02)), draw.randbytes(300)], 1, None, end)
        case 3:
            return Case([b"GET /ok HTTP/1.1\r\nHost: a\r\n\r\n"], 1, lambda _: False, end)
        case 4:
            return Case([draw.choice((0.0, 0.05))], 1, None, end, tls=True)
    inner = draw.choice((http1, http1, websocket, http2)).case(draw, qos=qos)
    inner.tls = True
    if inner.end is End.HALF:  # there is no such thing in TLS
        inner.end = End.CLOSE
    return inner

"""What the headers of an HTTP/1.1 request say about its body, and about going on in another way."""

from __future__ import annotations

from typing import Final, NamedTuple

import h11

CONNECTION, UPGRADE = b"connection", b"upgrade"
LENGTH, CODING = b"content-length", b"transfer-encoding"
HEAD: Final = b"HEAD"
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\n"
"""What an HTTP/2 client begins with; to a parser of HTTP/1 it is a request."""


class Asked(NamedTuple):
    """
    What a request asks for.

    Attributes:
        length: Bytes of its body, as announced; None if it does not say.
        coded: It has a Transfer-Encoding.
        http2: It is the beginning of an HTTP/2 connection.
        h2c: It offers to go on in HTTP/2, and has no body that would come before.
        websocket: It asks for a WebSocket.
    """

    length: int | None
    coded: bool
    http2: bool
    h2c: bool
    websocket: bool


def asked(request: h11.Request) -> Asked:
    """Read the headers; of two of a name that may stand once, the last one counts."""
    length, coded, upgrade, options = None, False, "", ""
    for name, value in request.headers:
        if name == LENGTH:
            length = int(value)
        elif name == CODING:
            coded = True
        elif name == UPGRADE:
            upgrade = value.decode("latin-1").strip().lower()
        elif name == CONNECTION:
            options = value.decode("latin-1").lower()
    get = bool(upgrade) and request.method.upper() == b"GET"
    preface = (b"PRI", b"*", b"2.0")
    return Asked(
        length,
        coded,
        http2=(request.method, request.target, request.http_version) == preface,
        h2c=upgrade == "h2c" and not coded and length is None,
        websocket=get
        and upgrade == "websocket"
        and "upgrade" in map(str.strip, options.split(",")),
    )


def refusal(request: h11.Request) -> tuple[int, str] | None:
    """Return status and reason for who asks to speak something else, where only HTTP/1.1 is spoken."""
    if request.method == b"PRI" and request.http_version == b"2.0":
        return 505, "this port speaks HTTP/1.1 only: no HTTP/2 here\n"
    # An offer to go on in HTTP/2 (h2c), as Java's client makes with every request, may be passed
    # over: RFC 9110, section 7.8. A WebSocket's client can do nothing with a plain answer.
    upgrades = {value.strip().lower() for name, value in request.headers if name == UPGRADE}
    if b"websocket" in upgrades:
        return 403, "this port speaks HTTP/1.1 only: no WebSocket here\n"
    return None

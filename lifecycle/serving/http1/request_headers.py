"""The headers of an HTTP/1.1 request about its body and about other protocols."""

from __future__ import annotations

from typing import Final, NamedTuple

import h11

CONNECTION, UPGRADE = b"connection", b"upgrade"
LENGTH, CODING = b"content-length", b"transfer-encoding"
HEAD: Final = b"HEAD"
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\n"
"""The first line of an HTTP/2 client. A parser of HTTP/1 treats it as a request."""


class Asked(NamedTuple):
    """
    The wishes of a request, by its headers.

    Attributes:
        length: The announced bytes of its body, or None without a Content-Length.
        coded: Whether it has a Transfer-Encoding.
        http2: Whether it is the start of an HTTP/2 connection.
        h2c: Whether it offers an upgrade to HTTP/2, and has no body that would come before that.
        websocket: Whether it asks for a WebSocket.
    """

    length: int | None
    coded: bool
    http2: bool
    h2c: bool
    websocket: bool


def asked(request: h11.Request) -> Asked:
    """Read the headers. Of two equal names that may occur once, the last one counts."""
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
    """Return status and reason for a client that asks for another protocol than HTTP/1.1."""
    if request.method == b"PRI" and request.http_version == b"2.0":
        return 505, "this port accepts HTTP/1.1 only, not HTTP/2\n"
    # An offer to go on in HTTP/2 (h2c), as Java's client makes with every request, may be passed
    # over: RFC 9110, section 7.8. A WebSocket's client can do nothing with a plain answer.
    upgrades = {value.strip().lower() for name, value in request.headers if name == UPGRADE}
    if b"websocket" in upgrades:
        return 403, "this port accepts HTTP/1.1 only, not WebSocket\n"
    return None

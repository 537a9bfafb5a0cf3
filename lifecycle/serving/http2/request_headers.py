"""What an HTTP/2 client's headers ask for, as hypercorn's streams are told it."""

from __future__ import annotations

from typing import Any

from lifecycle.serving.hypercorn import Request, filter_pseudo_headers


def asked(number: int, headers: list[tuple[bytes, bytes]], state: Any) -> Request | int:
    """
    Return the request, or the status that refuses it.

    A CONNECT is a WebSocket's (RFC 8441), or refused: this is no proxy.

    Args:
        number: The stream's.
        headers: As h2 has let them through.
        state: The lifespan's.
    """
    fields = dict(headers)
    method, path = fields.get(b":method", b""), fields.get(b":path", b"")
    if method == b"CONNECT" and fields.get(b":protocol") != b"websocket":
        return 501
    if not (path and path.isascii() and method.isascii()):
        return 400
    return Request(
        stream_id=number,
        headers=filter_pseudo_headers(headers),
        http_version="2",
        method=method.decode().upper(),
        raw_path=path,
        state=state,
    )


def waits_to_be_asked(request: Request) -> bool:
    """Tell whether a client sends its body only once it has `100 Continue`, as far as it says."""
    return any(
        name == b"expect" and value.strip().lower() == b"100-continue"
        for name, value in request.headers
    )

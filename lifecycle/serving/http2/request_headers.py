"""The headers of an HTTP/2 request, as an event for hypercorn's streams."""

from __future__ import annotations

from typing import Any

from lifecycle.serving.hypercorn import Request, filter_pseudo_headers


def asked(number: int, headers: list[tuple[bytes, bytes]], state: Any) -> Request | int:
    """
    Return the request, or the status that refuses it.

    A CONNECT is accepted only for a WebSocket (RFC 8441), because this is not a proxy.

    Args:
        number: The number of the stream.
        headers: The headers, as h2 has accepted them.
        state: The state of the lifespan.
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
    """Return whether a client waits for `100 Continue` before it sends its body."""
    return any(
        name == b"expect" and value.strip().lower() == b"100-continue"
        for name, value in request.headers
    )

"""Headers of WSGI, RSGI and ASGI: pairs of `str` or of `bytes`."""

from __future__ import annotations

from .event_streams import EVENTS, STREAM_HEADER, is_endless

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from typing import Any

CLOSE = ("connection", "close")
CLOSE_BYTES = (b"connection", b"close")


def value_of(headers: Any, wanted: str) -> str:
    """
    Return the value of a header, or an empty one if it is not there.

    Args:
        headers: The pairs.
        wanted: The name, in lower case.
    """
    names = (wanted, wanted.encode())
    for name, value in headers:
        if name.lower() in names:
            return value if isinstance(value, str) else str(value, "latin-1")
    return ""


def with_close(headers: Any, close: tuple[Any, Any]) -> list[Any]:
    """
    Return the headers of a response that is the last one of its connection.

    Args:
        headers: The pairs.
        close: `CLOSE` or `CLOSE_BYTES`, to match the pairs.
    """
    return [*(pair for pair in headers if pair[0].lower() != close[0]), close]


def say_endless(headers: Any) -> bool:
    """Return whether a response with these headers is endless."""
    kind = value_of(headers, "content-type")
    if len(kind) < len(EVENTS):  # hardly any gets further than this
        return False
    return is_endless(kind, value_of(headers, STREAM_HEADER.lower()))

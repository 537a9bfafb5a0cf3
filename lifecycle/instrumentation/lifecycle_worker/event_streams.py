"""Server-sent events: which requests ask for them, and which streams a drain ends."""

from __future__ import annotations

import re

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Iterable

EVENTS = "text/event-stream"
STREAM_HEADER = "X-Lifecycle-Stream"
"""The response header with the kind of a stream."""
FINITE = "finite"
"""The value of `STREAM_HEADER` for a stream that has an end, so that a drain waits for it."""

# The text between two commas. Commas within quotes do not count.
_ITEM = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')


def asks_for_events(method: str, accept: Iterable[str]) -> bool:
    """
    Return whether a request comes from an `EventSource`, which reconnects after the end.

    Args:
        method: The method of the request.
        accept: The values of its `Accept` headers.
    """
    return method == "GET" and any(
        _media_type(item) == EVENTS and _is_wanted(item)
        for line in accept
        for item in _ITEM.findall(line)
    )


def is_endless(content_type: str, stream: str = "") -> bool:
    """
    Return whether a response is endless: events, unless its header announces an end.

    Args:
        content_type: The value of its `Content-Type`.
        stream: The value of its `STREAM_HEADER`, or "" if it has none.
    """
    return _media_type(content_type) == EVENTS and stream.strip().lower() != FINITE


def _media_type(value: str) -> str:
    return value.partition(";")[0].strip().lower()


def _is_wanted(item: str) -> bool:
    for parameter in item.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            return value.strip().rstrip("0") not in ("", "0.")  # RFC 9110, 12.4.2: 0 is "never"
    return True

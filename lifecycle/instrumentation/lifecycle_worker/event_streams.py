"""Streams of server-sent events: who asks for one, and which are ended at settle; the one rule for all."""

from __future__ import annotations

import re

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Iterable

EVENTS = "text/event-stream"
STREAM_HEADER = "X-Lifecycle-Stream"
"""The header of a response that says of which kind its stream is."""
FINITE = "finite"
"""The value of `STREAM_HEADER` of a stream that has an end: a drain waits for it."""

# What stands between two commas, of which some are within quotes.
_ITEM = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')


def asks_for_events(method: str, accept: Iterable[str]) -> bool:
    """
    Tell whether an `EventSource` asks: it connects again when its stream has ended.

    Args:
        method: The request's.
        accept: The values of its `Accept` lines.
    """
    return method == "GET" and any(
        _media_type(item) == EVENTS and _is_wanted(item)
        for line in accept
        for item in _ITEM.findall(line)
    )


def is_endless(content_type: str, stream: str = "") -> bool:
    """
    Tell whether a response goes on until it is ended: events, unless it says that it has an end.

    Args:
        content_type: The value of its `Content-Type`.
        stream: The value of its `STREAM_HEADER`; empty if it has none.
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

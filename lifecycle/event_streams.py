"""
Streams of server-sent events: who asks for one, and which of them never end by themselves.

Public, for whoever puts another server under pod-lifecycle. It knows no server and does no I/O.

Rules of this file:

1. An event stream is known by its media type, which is text in any case and has parameters:
   `Accept` is a list, perhaps over several lines, with weights; `Content-Type` is one of them.
2. Only an `EventSource` connects again when its stream has ended. It asks with GET, and says
   that it accepts events. A wildcard (`*/*`) does not say so.
3. A stream that has an end says so in a header of its response, and is waited for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

EVENTS: Final = "text/event-stream"
STREAM_HEADER: Final = "X-Lifecycle-Stream"
"""The header of a response that says of which kind its stream is."""
FINITE: Final = "finite"
"""The value of `STREAM_HEADER` of a stream that has an end: a drain waits for it."""

# What stands between two commas, of which some are within quotes.
_ITEM: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')


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

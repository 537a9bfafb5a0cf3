"""
The names of work in flight: method, path and user agent of a request, never its query or body.

Strangers choose these words: they are cut short, and stay on one line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from lifecycle.plain import one_line

SHOWN: Final = 100
"""How many characters of a path, and of a user agent, are shown."""
NAMED: Final = 5
"""How many kinds of work are named: the most frequent ones."""
TRACKED: Final = "tracked work"
"""What work is called that has no name."""


class Named(Protocol):
    """Work that was counted with a name."""

    agent: str
    path: str
    method: str


class Words(NamedTuple):
    """What a piece of work is named by."""

    agent: str
    path: str
    method: str


Request: TypeAlias = tuple[Any, Any, Any]
"""
The headers, the path and the method of an ASGI request, taken out of its scope when it came.

The scope itself is the app's: it may put anything into it, at any time. The name is worked out
only when it is asked for.
"""

WorkEntry: TypeAlias = Named | Request


def words_of(scope: Mapping[str, Any]) -> Words:
    """Return the agent, the path and the method of an ASGI request; what is no text is empty."""
    method = "WebSocket" if scope.get("type") == "websocket" else scope.get("method")
    return _words((scope.get("headers"), scope.get("path"), method))


def _words(request: Request) -> Words:
    headers, path, method = request
    return Words(_agent(headers), _text(path), _text(method))


def _agent(headers: Any) -> str:
    try:
        for name, value in headers:
            if name == b"user-agent":
                return str(value, "latin-1")
    except Exception:  # noqa: BLE001 - whatever an app has put there
        return ""
    return ""


def _text(word: Any) -> str:
    return word if isinstance(word, str) else ""


def name_of(entry: WorkEntry) -> str:
    """Return the name of one piece of work: `GET /orders from curl/8`."""
    named = entry if isinstance(entry, Words) or not isinstance(entry, tuple) else _words(entry)
    agent, path, method = named.agent, named.path, named.method
    what = " ".join(filter(None, (shown(method), shown(path)))) or TRACKED
    return f"{what} from {shown(agent)}" if agent else what


def shown(text: str) -> str:
    """Return a stranger's word as it is shown."""
    return one_line(text[:SHOWN])


def most(entries: Iterable[WorkEntry], nameless: int = 0) -> list[str]:
    """
    Name the most frequent kinds of work, with their counts if there are several of a kind.

    Args:
        entries: The work that has a name.
        nameless: How many pieces have none.
    """
    counts = Counter(map(name_of, entries))
    if nameless:
        counts[TRACKED] += nameless
    return [f"{name} ({n})" if n > 1 else name for name, n in counts.most_common(NAMED)]

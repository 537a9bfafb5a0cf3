"""
The names of work in flight: method, path and user agent of a request, never its query or body.

Clients choose these words. So they are shortened, and kept on one line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from lifecycle.plain import one_line

SHOWN: Final = 100
"""Characters of a path or a user agent that are shown."""
NAMED: Final = 5
"""Kinds of work that are named at most, the most frequent first."""
TRACKED: Final = "tracked work"
"""The name of work without a name."""


class Named(Protocol):
    """Work that was counted with a name."""

    agent: str
    path: str
    method: str


class Words(NamedTuple):
    """The parts of the name of a piece of work."""

    agent: str
    path: str
    method: str


Request: TypeAlias = tuple[Any, Any, Any]
"""
The headers, the path and the method of an ASGI request, copied from its scope when it came.

The scope itself is not kept, because the app may change it at any time. The name is made only when
it is needed.
"""

WorkEntry: TypeAlias = Named | Request


def words_of(scope: Mapping[str, Any]) -> Words:
    """Return the agent, the path and the method of an ASGI request. Invalid values are empty."""
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
    except Exception:  # noqa: BLE001 - the app may put anything there
        return ""
    return ""


def _text(word: Any) -> str:
    return word if isinstance(word, str) else ""


def name_of(entry: WorkEntry) -> str:
    """Return the name of one piece of work, for example `GET /orders from curl/8`."""
    named = entry if isinstance(entry, Words) or not isinstance(entry, tuple) else _words(entry)
    agent, path, method = named.agent, named.path, named.method
    what = " ".join(filter(None, (shown(method), shown(path)))) or TRACKED
    return f"{what} from {shown(agent)}" if agent else what


def shown(text: str) -> str:
    """Return a word of a client, shortened and on one line."""
    return one_line(text[:SHOWN])


def most(entries: Iterable[WorkEntry], nameless: int = 0) -> list[str]:
    """
    Return the names of the most frequent kinds of work, with a count if it is more than one.

    Args:
        entries: The work with a name.
        nameless: The number of pieces without a name.
    """
    counts = Counter(map(name_of, entries))
    if nameless:
        counts[TRACKED] += nameless
    return [f"{name} ({n})" if n > 1 else name for name, n in counts.most_common(NAMED)]

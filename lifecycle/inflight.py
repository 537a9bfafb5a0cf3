"""
What is in flight, by name: method, path and user agent of a request, never its query or body.

Strangers choose these words: they are cut short, and stay on one line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol, TypeAlias

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


Entry: TypeAlias = Named | Mapping[str, Any]
"""Named work, or the scope of an ASGI request: its name is worked out only when it is asked for."""


def agent_of(scope: Mapping[str, Any]) -> str:
    """Return the user agent of an ASGI request; empty if it has none."""
    for name, value in scope["headers"]:
        if name == b"user-agent":
            return str(value.decode("latin-1"))
    return ""


def method_of(scope: Mapping[str, Any]) -> str:
    """Return the method of an ASGI request."""
    return "WebSocket" if scope["type"] == "websocket" else str(scope.get("method", ""))


def name_of(entry: Entry) -> str:
    """Return the name of one piece of work: `GET /orders from curl/8`."""
    if isinstance(entry, Mapping):
        method, path, agent = method_of(entry), str(entry["path"]), agent_of(entry)
    else:
        method, path, agent = entry.method, entry.path, entry.agent
    what = " ".join(filter(None, (shown(method), shown(path)))) or TRACKED
    return f"{what} from {shown(agent)}" if agent else what


def shown(text: str) -> str:
    """Return a stranger's word as it is shown."""
    return one_line(text[:SHOWN])


def most(entries: Iterable[Entry], nameless: int = 0) -> list[str]:
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

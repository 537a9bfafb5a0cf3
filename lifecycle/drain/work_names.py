"""
The names of work in flight: method, path and user agent of a request, never its query or body.

Clients choose these words. So they are shortened, and kept on one line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

from lifecycle.plain import one_line

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine
    from weakref import ReferenceType

SHOWN: Final = 100
"""Characters of a path or a user agent that are shown."""
NAMED: Final = 5
"""Kinds of work that are named at most, the most frequent first."""
TRACKED: Final = "tracked work"
"""The name of work without a name."""
TASK: Final = "task"
"""The protocol of work that is not a request, and has only a name."""
_VERSIONS: Final = {"1.0": "1.0", "1.1": "1.1", "2": "2", "2.0": "2", "3": "3"}


Where: TypeAlias = "ReferenceType[asyncio.Task[Any]] | Coroutine[Any, Any, Any] | int | None"
"""The task or the coroutine that does a piece of work, or the number of its thread, or None."""


class Named(Protocol):
    """Work that was counted one by one."""

    agent: str
    path: str
    method: str
    name: str
    protocol: str
    since: float
    where: Where


class Words(NamedTuple):
    """The parts of the name of a piece of work, and its protocol."""

    agent: str
    path: str
    method: str
    name: str = ""
    protocol: str = ""


Request: TypeAlias = tuple[Any, Any, Any, Any, float, Any]
"""
The headers, the path, the method and the version of an ASGI request, its time, and the app's
coroutine.

The values are copied from its scope when it comes. The scope itself is not kept, because the app
may change it at any time. The name is made only when it is needed.
"""

WorkEntry: TypeAlias = Named | Request


def words_of(scope: Mapping[str, Any]) -> Words:
    """Return the words of an ASGI request or WebSocket. Invalid values are empty."""
    websocket = scope.get("type") == "websocket"
    method = "WebSocket" if websocket else _text(scope.get("method"))
    protocol = "websocket" if websocket else protocol_of(scope.get("http_version"))
    return Words(_agent(scope.get("headers")), _text(scope.get("path")), method, "", protocol)


def words(entry: WorkEntry) -> Words:
    """Return the words of a piece of work."""
    if isinstance(entry, tuple):
        headers, path, method, version, _, _ = entry
        return Words(_agent(headers), _text(path), _text(method), "", protocol_of(version))
    return Words(entry.agent, entry.path, entry.method, entry.name, entry.protocol)


def since(entry: WorkEntry) -> float:
    """Return the time at which a piece of work started."""
    return entry[4] if isinstance(entry, tuple) else entry.since


def where(entry: WorkEntry) -> Where:
    """Return the task, the coroutine or the thread of a piece of work."""
    return entry[5] if isinstance(entry, tuple) else entry.where


def protocol_of(version: object) -> str:
    """Return the name of a version of HTTP, or an empty text if the version is not known."""
    known = _VERSIONS.get(version) if isinstance(version, str) else None
    return f"http/{known}" if known else ""


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


def name_of(work: Words) -> str:
    """Return the name of one piece of work with its client, for example `GET /a from curl/8`."""
    what = what_of(work)
    return f"{what} from {shown(work.agent)}" if work.agent else what


def what_of(work: Words) -> str:
    """Return the name of one piece of work without its client, for example `GET /orders`."""
    if work.name:
        return shown(work.name)
    return " ".join(filter(None, (shown(work.method), shown(work.path)))) or TRACKED


def shown(text: str) -> str:
    """Return a word of a client, shortened and on one line."""
    return one_line(text[:SHOWN])


def most(several: Iterable[Words]) -> list[str]:
    """Return the names of the most frequent kinds of work, with a count if it is more than one."""
    counts = Counter(map(name_of, several))
    if nameless := counts.pop(TRACKED, 0):
        counts[TRACKED] = nameless  # last among those that are as frequent
    return [f"{name} ({n})" if n > 1 else name for name, n in counts.most_common(NAMED)]

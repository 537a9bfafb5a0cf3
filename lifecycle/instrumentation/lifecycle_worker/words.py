"""
The words of a request: its method, its path, its user agent and its protocol.

The file of a server has a function that finds them for a key. They are looked up only when they are needed,
so that they cost nothing at a request. The query of a path is never part of them.
"""

from __future__ import annotations

from .headers import value_of
from .stacks import in_closure

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Words = tuple[str, str, str, str]

LONGEST = 200
"""The characters of a word that are kept at most."""
NONE = ("", "", "", "")
_VERSIONS = {"1.0": "1.0", "1.1": "1.1", "2": "2", "2.0": "2", "3": "3"}

_finders: dict[type, Callable[[Any], Any]] = {}


def finds(kind: type, find: Callable[[Any], Any]) -> None:
    """
    Set how the words of a request are found.

    Args:
        kind: The class of the keys with which its server counts requests.
        find: Returns the method, the path, the user agent and the version of HTTP of a key. It is
            called in another thread than the server's, and may raise.
    """
    _finders[kind] = find


def words_of(key: Any) -> Words:
    """Return the words of a request. They are empty if its server's file does not find them."""
    try:
        find = next(_finders[kind] for kind in type(key).__mro__ if kind in _finders)
        method, path, agent, version = (_text(each) for each in find(key))
    except Exception:  # the request may have ended meanwhile
        return NONE
    return method, path.partition("?")[0], agent, protocol_of(version)


def protocol_of(version: str) -> str:
    """Return the name of a version of HTTP, such as `1.1`, or of a WebSocket."""
    if version == "websocket":
        return version
    known = _VERSIONS.get(version.rpartition("/")[2])
    return f"http/{known}" if known else ""


def _text(word: Any) -> str:
    if isinstance(word, (bytes, bytearray)):
        word = bytes(word[:LONGEST]).decode("latin-1")
    if isinstance(word, tuple):  # a version, such as (1, 1)
        word = ".".join(map(str, word))
    return word[:LONGEST] if isinstance(word, str) else ""


def name_of(words: Words) -> str:
    """Return the name of a request with its client, for example `GET /orders from curl/8`."""
    method, path, agent, _ = words
    name = f"{method} {path}".strip() or "a request"
    return f"{name} from {agent}" if agent else name


def _of_request(request: Any) -> Any:
    """Return the words of a request object, such as gunicorn's."""
    return (
        request.method,
        request.path,
        value_of(request.headers, "user-agent"),
        request.version,
    )


def of_scope(scope: Any) -> Any:
    """Return the words of an ASGI scope."""
    websocket = scope["type"] == "websocket"
    return (
        "WebSocket" if websocket else scope.get("method"),
        scope.get("path"),
        value_of(scope.get("headers", ()), "user-agent"),
        "websocket" if websocket else scope.get("http_version"),
    )


def of_environ(environ: Any) -> Any:
    """Return the words of a WSGI environment."""
    return (
        environ.get("REQUEST_METHOD"),
        environ.get("PATH_INFO"),
        environ.get("HTTP_USER_AGENT"),
        environ.get("SERVER_PROTOCOL"),
    )


def _of_function(function: Any) -> Any:
    """Return the words of a function that is made for each request, and has its scope."""
    scope = in_closure(function, "scope")
    return of_scope(scope) if scope is not None else of_environ(in_closure(function, "environ"))


finds(type(finds), _of_function)
finds(object, _of_request)

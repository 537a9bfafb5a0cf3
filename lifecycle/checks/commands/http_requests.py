"""HTTP requests that a command sends with curl, wget or Python."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from lifecycle.checks.commands.curl_options import (
    CURL_TAKES,
    CURL_TAKES_LONG,
    WGET_TAKES,
    WGET_TAKES_LONG,
)

_URL: Final = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?(?:[^@/\s]*@)?"
    r"(?P<host>\[[^]]+\]|\$\{[^}]*\}|\$\([^)]*\)|[^:/?#\s'\"]*)"
    r"(?::(?P<port>[^/?#\s]*))?(?P<path>[^?#\s]*)"
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_SECONDS: Final = re.compile(r"\d+(?:\.\d*)?|\.\d+")

_CURL_BODIES: Final = frozenset((
    "-d", "-F", "--data", "--data-raw", "--data-binary", "--data-urlencode", "--json", "--form",
))  # fmt: skip
_WGET_BODIES: Final = frozenset(("--post-data", "--post-file"))
_SOCKETS: Final = frozenset(("--unix-socket", "--abstract-unix-socket"))
_ELSEWHERE: Final = frozenset(("--resolve", "--connect-to", "-x", "--proxy"))
_VARIABLE: Final = re.compile(r"\$(?:\w+|\{[^}]*\}|\(\)|@)")
"""A word that may stand for any options, such as `$OPTIONS`."""
_PYTHON_URL: Final = re.compile(r"https?://[^\s'\"]+")
_PYTHON_METHOD: Final = re.compile(r"method\s*=\s*['\"](\w+)|\.(get|head|post|put|delete)\(")
_PYTHON_LIMIT: Final = re.compile(r"timeout\s*=\s*(\d+(?:\.\d*)?|\.\d+)")
_PYTHON_FAILS: Final = re.compile(
    r"urlopen|raise_for_status|status|\.ok\b|is_success|assert|raise\b|exit\("
)


@dataclass(frozen=True)
class Fetch:
    """
    One HTTP request.

    Attributes:
        tool: curl, wget or python.
        scheme: http or https.
        host: Host as written. A variable starts with `$`.
        port: Port of the request. None if a variable contains it.
        path: Path without the query.
        method: GET, POST and so on.
        fails: Whether the tool exits with an error at a status of 400 or more.
        limit: Time limit of the tool in seconds. None if there is none.
        headers: Headers with lower-case names. None if they are not known.
        socket: Path of the Unix socket. Empty for TCP.
        elsewhere: Whether the request goes to another host than that of the URL.
        http2: Whether the connection starts with HTTP/2, without an upgrade.
        saved: Whether the tool writes the answer to a file with the name of the path.
        by_setting: Whether the variable for the port is LIFECYCLE_QOS_PORT.
    """

    tool: str
    scheme: str
    host: str
    port: int | None
    path: str
    method: str = "GET"
    fails: bool = True
    limit: float | None = None
    headers: Mapping[str, str] | None = field(default_factory=dict)
    socket: str = ""
    elsewhere: bool = False
    http2: bool = False
    saved: bool = False
    by_setting: bool = False


def fetches(words: Sequence[str]) -> list[Fetch]:
    """Return the requests of a command. The first word is the name of the program."""
    match words:
        case ["curl", *rest]:
            return _of_curl(rest)
        case ["wget", *rest]:
            return _of_wget(rest)
        case [name, *rest] if name.startswith("python") and "-c" in rest[:-1]:
            return _of_python(rest[rest.index("-c") + 1])
    return []


def _of_curl(words: Sequence[str]) -> list[Fetch]:
    said = list(_options(words, CURL_TAKES, CURL_TAKES_LONG))
    names = {name for name, _ in said}
    method = "POST" if names & _CURL_BODIES and not names & {"-G", "--get"} else "GET"
    method = "HEAD" if names & {"-I", "--head"} else method
    method = "PUT" if names & {"-T", "--upload-file"} else method
    unseen = bool(names & {"-K", "--config"}) or any(
        name == "" and _VARIABLE.fullmatch(value) for name, value in said
    )
    sockets = [value for name, value in said if name in _SOCKETS]
    return [
        replace(
            _target("curl", value),
            method=_last(said, "-X", "--request") or method,
            fails=unseen or bool(names & {"-f", "--fail", "--fail-with-body"}),
            limit=_seconds(_last(said, "-m", "--max-time")),
            headers=_headers(value for name, value in said if name in ("-H", "--header")),
            socket=sockets[-1] if sockets else "",
            elsewhere=bool(names & _ELSEWHERE),
            http2="--http2-prior-knowledge" in names,
        )
        for name, value in said
        if name in ("", "--url")
    ]


def _of_wget(words: Sequence[str]) -> list[Fetch]:
    said = list(_options(words, WGET_TAKES, WGET_TAKES_LONG))
    names = {name for name, _ in said}
    method = "POST" if names & _WGET_BODIES else "GET"
    return [
        replace(
            _target("wget", value),
            method=(_last(said, "--method") or method).upper(),
            limit=_seconds(_last(said, "-T", "--timeout", "--read-timeout")),
            headers=_headers(value for name, value in said if name == "--header"),
            saved=not names & {"-O", "--output-document", "--spider"},
        )
        for name, value in said
        if name == ""
    ]


def _of_python(code: str) -> list[Fetch]:
    method = _PYTHON_METHOD.search(code)
    limit = _PYTHON_LIMIT.search(code)
    posts = "urlopen" in code and "data=" in code
    return [
        replace(
            _target("python", url),
            method=(method[1] or method[2]).upper() if method else "POST" if posts else "GET",
            fails=bool(_PYTHON_FAILS.search(code)),
            limit=float(limit[1]) if limit else None,
            headers=None if "token" in code.lower() else {},
        )
        for url in _PYTHON_URL.findall(code)
    ]


def _target(tool: str, url: str) -> Fetch:
    found = _URL.match(url)
    assert found is not None  # each of its parts may be empty
    scheme = (found["scheme"] or "http").lower()
    port = _DEFAULT_PORTS.get(scheme)
    if found["port"]:
        port = int(found["port"]) if re.fullmatch(r"[0-9]{1,5}", found["port"]) else None
    path = "/" + found["path"].strip("/")
    by_setting = bool(re.match(r"\$\{?LIFECYCLE_QOS_PORT\b", found["port"] or ""))
    return Fetch(tool, scheme, found["host"], port, path, by_setting=by_setting)


def _options(
    words: Sequence[str], takes: frozenset[str], takes_long: frozenset[str]
) -> Iterator[tuple[str, str]]:
    """Give options with their values. Other words have an empty name."""
    left = iter(words)
    for word in left:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            yield name, value if equals or name[2:] not in takes_long else next(left, "")
        elif word.startswith("-") and len(word) > 1:
            yield from _letters(word[1:], takes, left)
        elif word != "-":
            yield "", word


def _letters(letters: str, takes: frozenset[str], left: Iterator[str]) -> Iterator[tuple[str, str]]:
    for at, letter in enumerate(letters):
        if letter in takes:
            yield f"-{letter}", letters[at + 1 :] or next(left, "")
            return
        yield f"-{letter}", ""


def _last(said: Sequence[tuple[str, str]], *names: str) -> str:
    return next((value for name, value in reversed(said) if name in names), "")


def _seconds(text: str) -> float | None:
    return float(text) if _SECONDS.fullmatch(text) else None


def _headers(lines: Iterator[str]) -> dict[str, str] | None:
    found = {}
    for line in lines:
        if line.startswith(("@", "$")):
            return None
        name, _, value = line.partition(":")
        found[name.strip().lower()] = value.strip()
    return found

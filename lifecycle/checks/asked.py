"""Whom a probe's command asks, as far as its words say."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

LOOPBACK: Final = re.compile(r"localhost\.?|127\.\d+\.\d+\.\d+|::1", re.IGNORECASE)
_OWN: Final = re.compile(rf"{LOOPBACK.pattern}|0\.0\.0\.0|::", re.IGNORECASE)
_URL: Final = re.compile(r"[a-z][a-z0-9+.]*://(?:[^@/\s]*@)?(\[[^]]+\]|[^:/?#\s'\"]+)")
_PLACE: Final = re.compile(r"([A-Za-z0-9][\w.-]*):\d+(?:/.*)?")
_FETCHERS: Final = ("curl", "wget")
_DIALLERS: Final = ("nc", "ncat", "netcat")
_CLIENTS: Final = (
    "psql", "pg_isready", "mysql", "mysqladmin", "mariadb", "mariadb-admin", "redis-cli",
    "valkey-cli", "mongo", "mongosh",
)  # fmt: skip
# Options by which the host of a URL is not whom it asks.
_ELSEWHERE: Final = ("--unix-socket", "--abstract-unix-socket", "--resolve", "--connect-to")
# Options that take the next word: it is no URL and no host.
_FETCHERS_TAKE: Final = set("HoOXdAeubcmxUTtQPFrwzYCEKD")
_FETCHERS_TAKE_LONG: Final = (
    "--header", "--output", "--request", "--data", "--user-agent", "--referer", "--user",
    "--cookie", "--max-time", "--connect-timeout", "--retry", "--proxy", "--output-document",
    "--timeout", "--tries", "--write-out", "--cacert", "--cert", "--key", "--resolve", "--noproxy",
    "--interface", "--post-data",
)  # fmt: skip
_DIALLERS_TAKE: Final = set("wqipsxXIOPTVeGg")


def hosts_asked(words: list[str]) -> Iterator[str]:
    """Give the hosts that a command asks for certain, its own among them."""
    name, rest = words[0], words[1:]
    if name in _FETCHERS:
        yield from _of_fetcher(rest)
    elif name in _DIALLERS:
        if not {"-U", "-l"} & set(rest):
            yield from _operands(rest, _DIALLERS_TAKE)[:1]
    elif name in _CLIENTS:
        yield from (found[1] for word in rest if (found := _URL.match(word)))
        yield from _options(rest, "-h", "--host", "--hostname")
    elif name == "grpc_health_probe":
        yield from (each.rpartition(":")[0] for each in _options(rest, "-addr", "--addr"))


def _of_fetcher(words: list[str]) -> Iterator[str]:
    if set(_ELSEWHERE) & {word.partition("=")[0] for word in words}:
        return
    for word in _operands(words, _FETCHERS_TAKE, _FETCHERS_TAKE_LONG):
        if found := _URL.match(word) or _PLACE.fullmatch(word):
            yield found[1]


def _operands(words: list[str], takes: set[str], takes_long: tuple[str, ...] = ()) -> list[str]:
    """Leave out options, and the words that they take."""
    found = []
    left = iter(words)
    for word in left:
        if word in takes_long or (re.fullmatch(r"-\w+", word) and _takes(word[1:], takes)):
            next(left, None)
        elif not word.startswith("-"):
            found.append(word)
    return found


def _takes(letters: str, takes: set[str]) -> bool:
    first = next((at for at, each in enumerate(letters) if each in takes), None)
    return first == len(letters) - 1  # `-w2` has it already


def _options(words: list[str], *names: str) -> Iterator[str]:
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in names:
            yield value if equals else "".join(words[at + 1 : at + 2])
        elif word.startswith("-h") and "-h" in names and len(word) > 2:
            yield word[2:]


def is_own(host: str) -> bool:
    """Tell whether a host may be the pod itself: itself, a socket's path, or a variable."""
    host = host.strip("[]'\"")
    return not host or host[0] in "$-/" or "$" in host or bool(_OWN.fullmatch(host))


def is_address(host: str) -> bool:
    """Tell whether it is an address."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True

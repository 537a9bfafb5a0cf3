"""Hosts and ports that a command connects to."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from lifecycle.checks.commands.http_requests import fetches
from lifecycle.checks.node import digits

LOOPBACK: Final = re.compile(r"localhost\.?|127\.\d+\.\d+\.\d+|::1", re.IGNORECASE)
_OWN: Final = re.compile(rf"{LOOPBACK.pattern}|0\.0\.0\.0|::", re.IGNORECASE)
_URL: Final = re.compile(r"[a-z][a-z0-9+.]*://(?:[^@/\s]*@)?(\[[^]]+\]|[^:/?#\s'\"]+)")
DIALLERS: Final = ("nc", "ncat", "netcat")
_GRPC: Final = ("grpc_health_probe", "grpc-health-probe", "grpcurl")
_CONNECT: Final = re.compile(r"connect(?:ion|_ex)?\(\s*\(\s*['\"]([^'\"]*)['\"]\s*,\s*(\d{1,5})\b")
_TALKS: Final = re.compile(r"recv|send|makefile|http\.client")
_ZERO: Final = re.compile(r"-[a-zA-Z]*z\w*")
_CLIENTS: Final = (
    "psql", "pg_isready", "mysql", "mysqladmin", "mariadb", "mariadb-admin", "redis-cli",
    "valkey-cli", "mongo", "mongosh",
)  # fmt: skip
_DIALLERS_TAKE: Final = set("wqipsxXIOPTVeGg")


def hosts_asked(words: list[str]) -> Iterator[str]:
    """Give the hosts that a command certainly connects to, including the pod itself."""
    name, rest = words[0], words[1:]
    yield from (each.host for each in fetches(words) if not (each.socket or each.elsewhere))
    if name in DIALLERS:
        yield from (host for host, _ in _dialled(rest))
    elif name in _CLIENTS:
        yield from (found[1] for word in rest if (found := _URL.match(word)))
        yield from _options(rest, "-h", "--host", "--hostname")
    elif name in _GRPC:
        yield from (host for host, _ in _of_grpc(rest))


def dialled(words: list[str], *, read: bool = False) -> list[tuple[str, int | None]]:
    """
    Return the hosts and ports to which a command only opens a TCP connection.

    Args:
        words: The command.
        read: Whether another command may read the output. If so, netcat counts only with `-z`,
            which prints nothing.
    """
    if words[0] in DIALLERS:
        opens = not read or any(_ZERO.fullmatch(each) for each in words[1:])
        return list(_dialled(words[1:])) if opens else []
    code = " ".join(words) if words[0].startswith("python") else ""
    return (
        [] if _TALKS.search(code) else [(host, int(port)) for host, port in _CONNECT.findall(code)]
    )


def called(words: list[str]) -> list[tuple[str, int | None]]:
    """Return the hosts and ports that a command calls by gRPC."""
    return list(_of_grpc(words[1:])) if words[0] in _GRPC else []


def _dialled(words: list[str]) -> Iterator[tuple[str, int | None]]:
    match _operands(words, _DIALLERS_TAKE):
        case [host, *ports] if not {"-U", "-l"} & set(words):
            yield host, digits(ports[0]) if ports else None


def _of_grpc(words: list[str]) -> Iterator[tuple[str, int | None]]:
    addresses = [word for word in words if re.fullmatch(r"[\w.\[\]:-]*:\d{1,5}", word)]
    for each in addresses or _options(words, "-addr", "--addr"):
        host, _, port = each.rpartition(":")
        yield host, digits(port)


def _operands(words: list[str], takes: set[str]) -> list[str]:
    """Return the words that are neither options nor values of options."""
    found = []
    left = iter(words)
    for word in left:
        if re.fullmatch(r"-\w+", word) and _takes(word[1:], takes):
            next(left, None)
        elif not word.startswith("-"):
            found.append(word)
    return found


def _takes(letters: str, takes: set[str]) -> bool:
    first = next((at for at, each in enumerate(letters) if each in takes), None)
    return first == len(letters) - 1  # `-w2` contains the value


def _options(words: list[str], *names: str) -> Iterator[str]:
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in names:
            yield value if equals else "".join(words[at + 1 : at + 2])
        elif word.startswith("-h") and "-h" in names and len(word) > 2:
            yield word[2:]


def is_own(host: str) -> bool:
    """Tell whether a host may be the pod itself: a loopback name, a socket's path, or a variable."""
    host = host.strip("[]'\"")
    return not host or host[0] in "$-/" or "$" in host or bool(_OWN.fullmatch(host))


def is_address(host: str) -> bool:
    """Tell whether a host is an IP address."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True

"""
The permissions of callers: which command a caller may use.

Rules of this file:

1. PUBLIC is for any caller.
2. PROTECTED is for a TCP peer that is exactly 127.0.0.1 or ::1, calls the same address, and
   sends no header of a proxy. The passthrough of a mesh comes from 127.0.0.6, or with such
   headers. PROTECTED is also for the addresses in `qos_allow`.
3. PRIVATE is for the Unix socket inside the container, or for the token.
4. Above PUBLIC, a `Host` that is a name, and any `Origin`, is refused. So web pages and DNS
   rebinding have no access.
5. Over TCP, a command that changes something needs a header that no client sends by chance. If
   your app fetches a URL of a user, this request comes from loopback too, and webhooks use POST.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from lifecycle.contracts import Level

TOKEN_HEADER: Final = "x-lifecycle-token"  # noqa: S105 - a name, not a secret
INTENT_HEADER: Final = "x-lifecycle"
PROXY_HEADERS: Final = (
    *("forwarded", "via", "x-forwarded-", "x-envoy-"),
    *("x-real-ip", "x-proxyuser-ip", "true-client-ip", "cf-connecting-ip"),
)
LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})

Headers = Mapping[str, str]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Caller(NamedTuple):
    """
    The caller of a command.

    Attributes:
        peer: The address of the peer. Empty on the Unix socket.
        local: The address that was called.
        unix: True on the Unix socket. The uid of the peer was checked when it connected.
        headers: The headers, with names in lower case.
        authority: The host in the target of the request, if the target is a whole URL.
    """

    peer: str
    local: str
    unix: bool
    headers: Headers
    authority: str | None = None

    def __str__(self) -> str:
        return "unix socket" if self.unix else self.peer


class Access:
    """
    Decides the permission level of a caller.

    Args:
        allow: Addresses and CIDRs with the level PROTECTED.
        token: The token for the level PRIVATE. None means that there is none.
    """

    def __init__(self, allow: Iterable[str] = (), token: str | None = None) -> None:
        self._networks = [ipaddress.ip_network(each, strict=False) for each in allow]
        self._token = token

    def level(self, caller: Caller) -> Level:
        """Return the highest level of this caller."""
        if not _addressed_directly(caller):
            return Level.PUBLIC
        if caller.unix or self.has_token(caller.headers):
            return Level.PRIVATE
        peer, local = _address(caller.peer), _address(caller.local)
        if peer is None:
            return Level.PUBLIC
        if any(peer in network for network in self._networks):
            return Level.PROTECTED
        direct = not any(name.startswith(PROXY_HEADERS) for name in caller.headers)
        loopback = str(peer) in LOOPBACK and peer == local
        return Level.PROTECTED if loopback and direct else Level.PUBLIC

    def means_it(self, caller: Caller) -> bool:
        """Return True if the caller asks for a change on purpose. See rule 5."""
        named = caller.headers.get(INTENT_HEADER, "").strip() != ""
        return caller.unix or named or self.has_token(caller.headers)

    def has_token(self, headers: Headers) -> bool:
        """Return True if the request has the token. The comparison takes constant time."""
        given = headers.get(TOKEN_HEADER)
        if self._token is None or given is None:
            return False
        return hmac.compare_digest(given.encode("latin-1"), self._token.encode("latin-1"))


def _address(text: str) -> Address | None:
    try:
        # Only IPv6 has scopes: "127.0.0.1%.evil" is a name.
        address = ipaddress.ip_address(text.partition("%")[0] if ":" in text else text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _addressed_directly(caller: Caller) -> bool:
    """Return True if the request uses an address as host, and does not come from a web page."""
    named = [caller.headers.get("host", "")]
    if caller.authority is not None:
        named.append(caller.authority)
    return "origin" not in caller.headers and all(_is_address(host) for host in named)


def _is_address(host: str) -> bool:
    if host.startswith("["):
        name, end, port = host[1:].partition("]")
        if not end or (port and not port.startswith(":")):
            return False
    else:
        name, _, port = host.partition(":") if host.count(":") == 1 else (host, "", "")
    if port.strip(":0123456789"):
        return False
    return name.lower() == "localhost" or _address(name) is not None

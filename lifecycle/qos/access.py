"""
Who may call what.

Rules of this file:

1. PUBLIC is for anyone.
2. PROTECTED is for a TCP peer that is exactly 127.0.0.1 or ::1, speaking to that same
   address, with no header of a proxy: a mesh's passthrough comes from 127.0.0.6, or
   with such headers. Or for an address in `qos_allow`.
3. PRIVATE is for the Unix socket inside the container, or the token.
4. Above PUBLIC, a `Host` that is a name, and any `Origin`, is refused, so that neither
   a web page nor DNS rebinding gets in.
5. Over TCP, what changes something needs a header that nobody sends by chance: the app's
   own fetching of a URL that a user gave comes from loopback too, webhooks by POST.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from lifecycle.contracts import Level

TOKEN_HEADER: Final = "x-lifecycle-token"  # noqa: S105 - a name, no secret
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
    Who calls.

    Attributes:
        peer: The address of the peer; empty on the Unix socket.
        local: The address that was called.
        unix: True on the Unix socket, whose peer's uid was checked when it connected.
        headers: Lower-case names.
        authority: The host in the request's target, if that is a whole URL.
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
    Decides the level of a caller.

    Args:
        allow: CIDRs that are PROTECTED.
        token: What makes a caller PRIVATE; None: nothing does.
    """

    def __init__(self, allow: Iterable[str] = (), token: str | None = None) -> None:
        self._networks = [ipaddress.ip_network(each, strict=False) for each in allow]
        self._token = token

    def level(self, caller: Caller) -> Level:
        """Return the highest level that this caller has."""
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
        """Tell whether who asks for a change knows whom: see rule 5."""
        named = caller.headers.get(INTENT_HEADER, "").strip() != ""
        return caller.unix or named or self.has_token(caller.headers)

    def has_token(self, headers: Headers) -> bool:
        """Tell whether the request carries the token; compared in constant time."""
        given = headers.get(TOKEN_HEADER)
        if self._token is None or given is None:
            return False
        return hmac.compare_digest(given.encode("latin-1"), self._token.encode("latin-1"))


def _address(text: str) -> Address | None:
    try:
        # A scope belongs to IPv6 alone: "127.0.0.1%.evil" is a name.
        address = ipaddress.ip_address(text.partition("%")[0] if ":" in text else text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _addressed_directly(caller: Caller) -> bool:
    """Tell whether the request names us by an address, and comes from no web page."""
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

"""
The proxy of the environment, chosen as kubectl chooses it. Pure.

Rules of this file:

1. `HTTPS_PROXY` or `https_proxy` counts for https, `HTTP_PROXY` or `http_proxy` for http.
2. This machine (`localhost`, 127.0.0.0/8, ::1) is always reached directly.
3. `NO_PROXY` has names with their subdomains (`.name`: subdomains only), addresses, networks
   (10.0.0.0/8), each with a port if wanted, or `*`.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address


def proxy_of(server: str, environ: Mapping[str, str]) -> str:
    """
    Return the proxy of a server, or empty to connect to it directly.

    Args:
        server: The URL of the server.
        environ: The environment.
    """
    url = urlsplit(server)
    found = _variable(environ, f"{url.scheme}_proxy")
    if not found or _is_direct(url.hostname or "", url.port or _port(url.scheme), environ):
        return ""
    return found if "://" in found else f"http://{found}"


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name.upper(), "") or environ.get(name, "")


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _is_direct(host: str, port: int, environ: Mapping[str, str]) -> bool:
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    rules = _variable(environ, "no_proxy").lower().split(",")
    return any(_matches(each.strip(), host.lower(), address, port) for each in rules)


def _matches(rule: str, host: str, address: Address | None, port: int) -> bool:
    if not rule or rule == "*":
        return bool(rule)
    if "/" in rule:
        try:
            return address is not None and address in ip_network(rule, strict=False)
        except ValueError:
            return False
    if rule.count(":") == 1 or rule.startswith("["):
        rule, _, wanted = rule.rpartition(":")
        if wanted.isdecimal() and int(wanted) != port:
            return False
        if not wanted.isdecimal():  # [::1]
            rule = f"{rule}:{wanted}"
    if address is not None:
        return _address(rule.strip("[]")) == address
    name = rule.removeprefix("*")
    return host.endswith(name) if name.startswith(".") else (f".{host}").endswith(f".{name}")


def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None

"""What a caller can reach on the QOS port: tried out, as one caller after another."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass

from tests.process import wire
from tests.process.kit import App

TOKEN = "correct-horse-battery"
PROBES = ("/live", "/ready", "/startup")
PROTECTED = (
    ("GET", "/"),
    ("GET", "/status"),
    ("GET", "/ls"),
    ("GET", "/help"),
    ("GET", "/version"),
    ("GET", "/loggers"),
    ("POST", "/offline"),
    ("POST", "/offline/orders"),
    ("POST", "/online"),
    ("POST", "/log-level?level=DEBUG"),
    ("GET", "/count"),
)
PRIVATE = (("GET", "/config"), ("POST", "/prestop"), ("GET", "/prestop"), ("GET", "/private"))

SERVICE = """
import os, urllib.request
import lifecycle
from lifecycle import Command, Level, ProbeResult, hookimpl

class Own:
    @hookimpl
    def lifecycle_readiness(self):
        return ProbeResult(True, "the password is swordfish")

    @hookimpl
    def lifecycle_commands(self):
        return [
            Command("count", lambda request: "1"),
            Command("private", lambda request: "1", level=Level.PRIVATE),
            Command("public", lambda request: request.level.name, level=Level.PUBLIC),
            Command("touch", lambda request: "1", changes=True),
            Command("fetch", self.fetch, level=Level.PRIVATE),
        ]

    def fetch(self, request):  # as an app that fetches what a user names
        url, method = request.arguments["url"], request.arguments.get("method", "GET")
        try:
            asked = urllib.request.Request(url, method=method)
            with urllib.request.urlopen(asked, timeout=5) as answer:
                return str(answer.status)
        except urllib.error.HTTPError as refused:
            return str(refused.code)

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    await life.drained()

lifecycle.run(main, plugins=[Own()])
"""

ENV = {"LIFECYCLE_PRESTOP_TOKEN": TOKEN}


def _has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as sock, contextlib.suppress(OSError):
        sock.bind(("::1", 0))
        return True
    return False


IPV6 = socket.has_ipv6 and _has_ipv6()
LOOPBACKS = ["127.0.0.1", *(["::1", "::ffff:127.0.0.1"] if IPV6 else [])]


def unharmed(app: App) -> bool:
    """Tell whether nobody has changed anything."""
    status = app.status()
    return (
        status is not None
        and status["state"] == "ready"
        and all(service["online"] for service in status["services"])
    )


@dataclass
class Seen:
    """The status codes that one caller got."""

    probes: set[int]
    protected: set[int]
    private: set[int]
    reasons: bool


def look_around(
    address: tuple[str, int], *, host: str = "", headers: tuple[str, ...] = (), source: str = ""
) -> Seen:
    """Try everything there is as one caller."""
    name = host or (f"[{address[0]}]" if ":" in address[0] else address[0])

    def code(method: str, path: str) -> int:
        return wire.ask(
            address,
            path,
            method=method,
            host=name,
            headers=(*headers, wire.MEANT) if method == "POST" else headers,
            source=source,
        ).status

    shown = wire.ask(address, "/ready?verbose", host=name, headers=headers, source=source).text
    seen = Seen(
        {code("GET", path) for path in PROBES},
        {code(method, path) for method, path in PROTECTED},
        {code(method, path) for method, path in PRIVATE},
        "swordfish" in shown,
    )
    assert ("reason withheld" in shown) is not seen.reasons
    return seen


NOTHING_BUT_PROBES = Seen({200}, {403}, {403}, reasons=False)
AN_OPERATOR = Seen({200}, {200}, {403}, reasons=True)

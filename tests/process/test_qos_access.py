"""Who is let in: by address, by header, by name; from real addresses."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.process import wire
from tests.process.kit import App, wait_for

Start = Callable[..., App]

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
TOKEN = "correct-horse-battery"
PROBES = ("/live", "/ready", "/startup")
PROTECTED = (
    ("GET", "/status"),
    ("GET", "/ls"),
    ("GET", "/help"),
    ("GET", "/version"),
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
            Command("fetch", self.fetch, level=Level.PRIVATE),
        ]

    def fetch(self, request):  # as an app that fetches what a user names
        try:
            with urllib.request.urlopen(request.arguments["url"], timeout=5) as answer:
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


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Serve one service, which all these tests leave online."""
    with App.start(SERVICE, cwd=tmp_path_factory.mktemp("access"), env=ENV) as app:
        app.wait_state("ready")
        yield app
        assert "Traceback" not in app.stderr
        assert unharmed(app)


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
            address, path, method=method, host=name, headers=headers, source=source
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


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_from_loopback(app: App, address: str) -> None:
    """Loopback to that same loopback address is an operator, over IPv4, IPv6 and mapped."""
    assert look_around((address, app.qos)) == AN_OPERATOR


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("127.0.0.6", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.6"),
        ("127.0.0.6", "127.0.0.6"),
        ("127.0.0.2", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.2"),
    ],
)
def test_from_what_a_mesh_uses(app: App, source: str, address: str) -> None:
    """127.0.0.6, where a mesh's passthrough comes from, is loopback and yet nobody's operator."""
    assert look_around((address, app.qos), source=source) == NOTHING_BUT_PROBES


@pytest.mark.parametrize(
    "header",
    [
        "Forwarded: for=192.0.2.60;proto=http",
        "X-Forwarded-For: 127.0.0.1",
        "x-forwarded-proto: https",
        "X-FORWARDED-HOST: localhost",
        "X-Forwarded-Client-Cert: By=spiffe://x",
        "Via: 1.1 gateway",
        "x-envoy-attempt-count: 1",
        "X-Envoy-Expected-Rq-Timeout-Ms: 15000",
        "X-Envoy-Internal: true",
        "Origin: https://evil.example",
        "Origin: null",
        "Origin: http://127.0.0.1:22222",
        "Origin: http://localhost:3000",
    ],
)
def test_through_a_proxy_or_a_page(app: App, header: str) -> None:
    """A request with a proxy's header, or from a web page, gets the probes and nothing else."""
    assert look_around(("127.0.0.1", app.qos), headers=(header,)) == NOTHING_BUT_PROBES


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:22222",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "evil.example#127.0.0.1",
        "0x7f000001",
        "2130706433",
        "127.1",
        "[evil.example]",
        "[::1",
        "[::1]evil.example",
        "127.0.0.1:80.evil.example",
        "orders.default.svc:22222",
    ],
)
def test_rebinding(app: App, host: str) -> None:
    """A `Host` that is a name, or looks like none, gets the probes and nothing else."""
    seen = look_around(("127.0.0.1", app.qos), host=host)

    assert seen == NOTHING_BUT_PROBES


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:22222", "[::1]:1", "192.0.2.7", "[::1]"])
def test_called_by_an_address(app: App, host: str) -> None:
    """A `Host` that is an address, or localhost, is what an operator's curl sends."""
    assert look_around(("127.0.0.1", app.qos), host=host) == AN_OPERATOR


def test_a_token_from_a_page(app: App) -> None:
    """Not even the token opens what is asked for by a page, or by a name."""
    at = ("127.0.0.1", app.qos)
    token = f"X-Lifecycle-Token: {TOKEN}"

    assert wire.ask(at, "/config", headers=(token,)).status == 200
    assert wire.ask(at, "/config", headers=(token, "Origin: null")).status == 403
    assert wire.ask(at, "/config", host="evil.example", headers=(token,)).status == 403


def test_the_same_rules_on_the_socket(app: App) -> None:
    """On the control socket, too, what comes from a page is refused."""
    path = f"{app.env['LIFECYCLE_RUN_DIR']}/lifecycle-{app.qos}.sock"

    assert wire.ask(path, "/config", host="localhost").status == 200
    assert wire.ask(path, "/config", host="localhost", headers=("Origin: null",)).status == 403
    assert wire.ask(path, "/prestop", method="POST", host="evil.example").status == 403


def test_the_apps_own_fetching(app: App) -> None:
    """An app that fetches a URL a user has named changes nothing: GET, and redirects to it."""

    class Redirect(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{app.qos}/offline")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = http.server.HTTPServer(("127.0.0.1", 0), Redirect)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        for url in (
            f"http://127.0.0.1:{app.qos}/offline",
            f"http://localhost:{app.qos}/offline?service=orders",
            f"http://[::1]:{app.qos}/offline/orders",
            f"http://127.0.0.1:{server.server_port}/",
        ):
            assert app.control("GET", f"/fetch?url={url}")[1] == "405\n"
        assert app.control("GET", f"/fetch?url=http://127.0.0.1:{app.qos}/prestop")[1] == "403\n"
    finally:
        server.shutdown()
        server.server_close()
    assert unharmed(app)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/offline"), ("HEAD", "/offline"), ("GET", "/online"), ("GET", "/log-level")],
)
def test_a_get_changes_nothing(app: App, method: str, path: str) -> None:
    """What changes something is refused to GET and HEAD, for every caller."""
    at = ("127.0.0.1", app.qos)

    assert wire.ask(at, path, method=method).status == 405
    assert wire.ask(at, path, method=method, headers=(f"X-Lifecycle-Token: {TOKEN}",)).status == 405
    assert app.control(method, path)[0] == 405
    assert unharmed(app)


# From another machine: a network namespace, and a pair of interfaces into it.

OUTSIDE = """
import json, sys
from tests.process.test_qos_access import look_around
address, port, host = sys.argv[1:]
seen = look_around((address, int(port)), host=host)
print(json.dumps([sorted(seen.probes), sorted(seen.protected), sorted(seen.private), seen.reasons]))
"""


@dataclass
class Outside:
    """A machine beside ours."""

    namespace: str
    here4: str = "198.51.100.1"
    there4: str = "198.51.100.2"
    here6: str = "fd00:6c69::1"
    there6: str = "fd00:6c69::2"

    def look_around(self, address: str, port: int, host: str = "") -> Seen:
        """Try everything from over there."""
        words = (sys.executable, "-c", OUTSIDE, address, str(port), host)
        ran = subprocess.run(
            ["ip", "netns", "exec", self.namespace, *words],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": REPOSITORY},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        probes, protected, private, reasons = json.loads(ran.stdout)
        return Seen(set(probes), set(protected), set(private), reasons)


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    """Make a network namespace whose address is not loopback."""
    name = f"lc{os.getpid()}"
    it = Outside(name)
    inside = ("ip", "-n", name)

    def do(*words: str) -> None:
        subprocess.run(words, check=True, capture_output=True, timeout=10)

    with contextlib.ExitStack() as stack:
        do("ip", "netns", "add", name)
        stack.callback(do, "ip", "netns", "del", name)  # which takes the pair with it
        do("ip", "link", "add", f"{name}a", "type", "veth", "peer", "name", "eth0", "netns", name)
        do("ip", "addr", "add", f"{it.here4}/24", "dev", f"{name}a")
        do("ip", "-6", "addr", "add", f"{it.here6}/64", "dev", f"{name}a", "nodad")
        do(*inside, "addr", "add", f"{it.there4}/24", "dev", "eth0")
        do(*inside, "-6", "addr", "add", f"{it.there6}/64", "dev", "eth0", "nodad")
        for words in ((*inside, "link", "set", "lo"), (*inside, "link", "set", "eth0")):
            do(*words, "up")
        do("ip", "link", "set", f"{name}a", "up")
        yield it


@pytest.mark.parametrize("version", [4, 6])
def test_from_another_machine(app: App, outside: Outside, version: int) -> None:
    """From another machine the probes are answered, over IPv4 and IPv6, and nothing else is."""
    address = outside.here4 if version == 4 else outside.here6

    assert outside.look_around(address, app.qos) == NOTHING_BUT_PROBES


def test_from_our_own_address(app: App, outside: Outside) -> None:
    """This machine's own outer address is not loopback."""
    assert look_around((outside.here4, app.qos)) == NOTHING_BUT_PROBES
    assert look_around((outside.here4, app.qos), source="127.0.0.1") == NOTHING_BUT_PROBES


@pytest.mark.parametrize(
    ("allow", "seen4", "seen6"),
    [
        ("198.51.100.0/24", AN_OPERATOR, NOTHING_BUT_PROBES),
        ("198.51.100.2", AN_OPERATOR, NOTHING_BUT_PROBES),
        ("198.51.100.3,fd00:6c69::/64", NOTHING_BUT_PROBES, AN_OPERATOR),
    ],
)
def test_qos_allow(start: Start, outside: Outside, allow: str, seen4: Seen, seen6: Seen) -> None:
    """`qos_allow` lets an address do what is PROTECTED, never what is PRIVATE."""
    app = start(SERVICE, env=ENV | {"LIFECYCLE_QOS_ALLOW": allow})
    app.wait_state("ready")

    assert outside.look_around(outside.here4, app.qos) == seen4
    assert outside.look_around(outside.here6, app.qos) == seen6
    wait_for(lambda: unharmed(app), 5, "online again")
    if seen4 == AN_OPERATOR:
        assert outside.look_around(outside.here4, app.qos, "evil.example") == NOTHING_BUT_PROBES


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_qos_host(start: Start, host: str) -> None:
    """`qos_host` says where the port binds; `::` takes IPv4 as well."""
    app = start(SERVICE, env=ENV | {"LIFECYCLE_QOS_HOST": host})
    app.wait_state("ready")

    answers = {}
    for address in ("127.0.0.1", "::1"):
        with contextlib.suppress(ConnectionRefusedError):
            answers[address] = look_around((address, app.qos))
    reached = {"127.0.0.1": {"127.0.0.1"}, "0.0.0.0": {"127.0.0.1"}, "::1": {"::1"}}
    assert set(answers) == reached.get(host, {"127.0.0.1", "::1"})
    assert all(seen == AN_OPERATOR for seen in answers.values())


def test_websockets_are_refused(app: App) -> None:
    """A WebSocket, which a page may open anywhere, is refused before it opens."""
    answer = wire.exchange(
        ("127.0.0.1", app.qos),
        b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )

    assert wire.read(answer).status == 403

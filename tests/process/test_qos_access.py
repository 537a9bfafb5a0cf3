"""Who is let in: by address, by header, by name; from real addresses."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Callable

import pytest

from tests.process import wire
from tests.process.kit import App
from tests.process.lookout import (
    AN_OPERATOR,
    ENV,
    IPV6,
    LOOPBACKS,
    NOTHING_BUT_PROBES,
    SERVICE,
    TOKEN,
    look_around,
    unharmed,
)

Start = Callable[..., App]

TAKES_POST = ("/offline", "/offline?service=orders", "/offline/orders")


@pytest.mark.parametrize("address", LOOPBACKS)
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
        "X-Real-IP: 127.0.0.1",
        "CF-Connecting-IP: 192.0.2.60",
        "True-Client-IP: 192.0.2.60",
        "X-ProxyUser-Ip: 192.0.2.60",
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
    """An app that fetches a URL a user has named, or POSTs to it, changes nothing."""

    class Redirect(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{app.qos}/offline")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            return

    server = http.server.HTTPServer(("127.0.0.1", 0), Redirect)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        for url in (
            f"http://127.0.0.1:{app.qos}/offline",
            f"http://localhost:{app.qos}/offline?service=orders",
            *([f"http://[::1]:{app.qos}/offline/orders"] if IPV6 else []),
            f"http://127.0.0.1:{server.server_port}/",
        ):
            assert app.control("GET", f"/fetch?url={url}")[1] == "405\n"
            answer = "403\n" if url.endswith(TAKES_POST) else "405\n"
            assert app.control("GET", f"/fetch?method=POST&url={url}")[1] == answer
        assert app.control("GET", f"/fetch?url=http://127.0.0.1:{app.qos}/prestop")[1] == "403\n"
    finally:
        server.shutdown()
        server.server_close()
    assert unharmed(app)


def test_a_change_is_meant(start: Start) -> None:
    """Over TCP a change wants `X-Lifecycle`, or the token; without, the 403 says so in a line."""
    short = {"LIFECYCLE_SETTLE": "0.1", "LIFECYCLE_QUIET": "0.1"}
    app = start(SERVICE, env=ENV | short | {"LIFECYCLE_QOS_ALLOW": "127.0.0.0/8"})
    app.wait_state("ready")
    at = ("127.0.0.1", app.qos)
    in_a_shell = {
        "/offline": "Run `lifecycle offline` in the container. ",
        "/online": "Run `lifecycle online` in the container. ",
        "/offline/orders": "Run `lifecycle offline 'orders'` in the container. ",
        "/online?service=ord*": "Run `lifecycle online 'ord*'` in the container. ",
        "/offline?service=it's": "Run `lifecycle offline NAME` in the container. ",
        "/log-level?level=INFO": "",
        "/touch": "",
    }
    for path, run in in_a_shell.items():
        name = path.split("?")[0].split("/")[1]
        for headers in ((), ("X-Lifecycle:",), ("X-Lifecycle-Token: wrong",), ("X-Other: 1",)):
            refused = wire.ask(at, path, method="POST", headers=headers)
            assert refused.status == 403
            assert refused.text == (
                f"POST /{name} over TCP needs the header X-Lifecycle. {run}"
                "With curl, use `curl -X POST -H 'X-Lifecycle: 1'`.\n"
            )
    assert unharmed(app)
    assert not app.events("command")

    token = f"X-Lifecycle-Token: {TOKEN}"
    for header in (wire.MEANT, "x-lifecycle: yes", token):
        for path in ("/offline", "/touch", "/online"):
            assert wire.ask(at, path, method="POST", headers=(header,)).status == 200
    assert app.control("POST", "/offline")[0] == 200
    assert app.cli("online").returncode == 0
    assert wire.ask(at, "/prestop", headers=(token,)).status == 200  # the kubelet's httpGet


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


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", *(["::1", "::"] if IPV6 else [])])
def test_qos_host(start: Start, host: str) -> None:
    """`qos_host` says where the port binds; `::` takes IPv4 as well."""
    app = start(SERVICE, env=ENV | {"LIFECYCLE_QOS_HOST": host})
    app.wait_state("ready")

    answers = {}
    for address in ("127.0.0.1", "::1") if IPV6 else ("127.0.0.1",):
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

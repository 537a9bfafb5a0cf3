"""What nobody reads on the QOS port is thrown away, and nothing but HTTP/1.1 is spoken there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process import wire
from tests.process.kit import App
from tests.process.unread import BODIES, connect, next_is_answered, read_answer, serving, upload


@pytest.fixture(scope="module", params=["plain", "tls"])
def app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Serve for all of them, and leave in order at the end."""
    with serving(request.param, tmp_path_factory.mktemp("unread")) as app:
        yield app


QOS = {"answers": "/live", "returns": "/nosuch", "thinks": "/ready?verbose"}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("end", QOS)
def test_the_qos_port(app: App, end: str, body: str) -> None:
    """On the QOS port the client sees its answer, and that the connection ends."""
    with connect(app, app.qos) as sock:
        upload(sock, QOS[end], body)
        answer = read_answer(sock)
        assert answer.status in (200, 404, 405)
        next_is_answered(app, sock, answer, app.qos)


def test_the_qos_port_whose_clients_are_gone(app: App) -> None:
    """A thousand requests with a body that nobody reads leave nothing behind."""

    def ask(times: int) -> None:
        for number in range(times):
            with connect(app, app.qos) as sock:
                upload(sock, "/live", "chunks")
                if number % 2:
                    read_answer(sock)

    def memory() -> int:
        status = Path(f"/proc/{app.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0])

    ask(200)
    before = memory()
    ask(1000)
    assert memory() - before < 8_000
    assert app.get("/live")[:2] == (200, "true")


ELSE = {
    "preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(4) + b"\x04" + bytes(4), 505, "HTTP/2"),
    "websocket": (
        b"GET /live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        403,
        "WebSocket",
    ),
    "h2c": (
        b"GET /live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        200,
        "true",
    ),
}


@pytest.mark.parametrize("where", ["port", "socket"])
@pytest.mark.parametrize("what", ELSE)
def test_the_qos_port_speaks_http1_alone(app: App, what: str, where: str) -> None:
    """Nothing but HTTP/1.1 on the port and on the control socket; the answer says so in a line."""
    data, status, word = ELSE[what]
    path = str(next(app.cwd.glob("*.sock")))
    answer = wire.read(wire.exchange(("127.0.0.1", app.qos) if where == "port" else path, data))
    assert answer.status == status
    assert answer.closes
    assert word in answer.text
    assert answer.text.count("\n") <= 1
    assert "upgrade" not in answer.headers

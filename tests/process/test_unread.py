"""
What nobody reads is thrown away: a request's body, a WebSocket's messages.

Every app here answers, returns or thinks without reading a byte of what its client sends, over
every protocol, with TLS and without, on the app's port and on the QOS port. Nothing is in
flight for longer than that, and nothing else on the connection waits for it.
"""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import h2.config
import h2.connection
import h2.events
import pytest

from tests.process import wire
from tests.process.kit import App, free_port, wait_for

CERTIFICATE = Path(__file__).parents[1] / "testing" / "certificate.pem"

APP = """
import asyncio

async def answer(send, status):
    await send({"type": "http.response.start", "status": status,
                "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"done"})

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    path = scope["path"]
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        if path == "/returns":
            return
        if path in ("/thinks", "/gone"):
            await asyncio.sleep(0.2)
        await send({"type": "websocket.close", "code": 4001})
    elif path == "/asks":
        await answer(send, 401)
        said = [(await receive())["type"] for _ in range(3)]
        asked.extend(said)
    elif path == "/asked":
        await answer(send, 200 if asked == ["http.disconnect"] * 3 else 500)
    elif path == "/reads":
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message["body"]), message["more_body"]
        await answer(send, 200 if size == 2_000_000 else 500)
    elif path == "/returns":
        return
    elif path == "/waits":
        while (await receive())["type"] != "http.disconnect":
            pass
    else:
        if path in ("/thinks", "/gone"):
            await asyncio.sleep(0.2)
        await answer(send, 401 if path != "/" else 200)

asked = []
"""

ENDS = {"answers": 401, "returns": 500, "thinks": 401}
CHUNKS = b"".join(b"1\r\nx\r\n" for _ in range(30)) + b"0\r\n\r\n"
LARGE = b"x" * 2_000_000


@pytest.fixture(scope="module", params=["plain", "tls"])
def app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Serve for all of them, and leave in order at the end."""
    folder = tmp_path_factory.mktemp("unread")
    (folder / "web.py").write_text(APP)
    tls = ["--certfile", str(CERTIFICATE), "--keyfile", str(CERTIFICATE)]
    port = str(free_port())
    words = ["--asgi", "--bind", f"127.0.0.1:{port}", *(tls if request.param == "tls" else [])]
    env = {"PORT": port, "LIFECYCLE_SETTLE": "0.2", "LIFECYCLE_QUIET": "0.2"}
    with App.start(["-m", "lifecycle", "run", *words, "web:app"], cwd=folder, env=env) as app:
        app.env["TLS"] = request.param
        app.wait_state("ready")
        yield app
        at_rest(app)
        app.signal(signal.SIGTERM)
        assert app.wait() == 0, app.stderr
        assert "Traceback" not in app.stderr
        assert "Error in ASGI" not in app.stderr


def at_rest(app: App) -> None:
    """Wait until nothing is in flight."""
    wait_for(lambda: app.status()["in_flight"] == 0, 5, lambda: str(app.status()))


def connect(app: App, port: int = 0, alpn: str = "http/1.1") -> socket.socket:
    """Connect to the app's port, or to another one, which speaks no TLS."""
    sock = wire.connect(("127.0.0.1", port or app.port), timeout=10.0)
    if port or app.env["TLS"] != "tls":
        return sock
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([alpn])
    return context.wrap_socket(sock)


def read_answer(sock: socket.socket) -> wire.Answer:
    """Read one answer with a length, and leave what follows it."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += (byte := sock.recv(1))
        assert byte, received
    answer = wire.read(received)
    body = b""
    while len(body) < int(answer.headers["content-length"]):
        body += sock.recv(int(answer.headers["content-length"]) - len(body))
    return wire.Answer(answer.status, answer.headers, body)


def head(path: str, *headers: str) -> bytes:
    """Return the head of a POST."""
    return "\r\n".join((f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", "")).encode()


BODIES = {
    "chunks": (head("{}", "Transfer-Encoding: chunked"), [CHUNKS]),
    "a stream": (head("{}", "Content-Length: 200000"), [b"x" * 10_000] * 20),
    "large": (head("{}", "Content-Length: 2000000"), [LARGE]),
}


def upload(sock: socket.socket, path: str, body: str) -> None:
    """Send a request of a kind; all that the other side takes."""
    first, parts = BODIES[body]
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        sock.sendall(first.replace(b"{}", path.encode()))
        for part in parts:
            sock.sendall(part)


def next_is_answered(app: App, sock: socket.socket, answer: wire.Answer, port: int = 0) -> None:
    """Ask again, on the same connection if the answer has not said that it ends."""
    path = b"/live" if port else b"/"
    if answer.closes:
        assert wire.read_all(sock) == b""
        sock = connect(app, port)
    with sock:
        sock.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert read_answer(sock).status == 200


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("end", ENDS)
def test_http1(app: App, end: str, body: str) -> None:
    """A request that is answered unread is over, its client sees the answer, the next is served."""
    with connect(app) as sock:
        upload(sock, f"/{end}", body)
        answer = read_answer(sock)
        assert answer.status == ENDS[end]
        next_is_answered(app, sock, answer)
    at_rest(app)


@pytest.mark.parametrize("rude", [False, True], ids=["closes", "resets"])
@pytest.mark.parametrize("body", BODIES)
def test_http1_whose_client_is_gone(app: App, body: str, rude: bool) -> None:
    """A client that hangs up before it is answered leaves nothing in flight."""
    sock = connect(app)
    sock.settimeout(0.2)
    with contextlib.suppress(TimeoutError):
        upload(sock, "/gone", body)
    if rude:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    sock.close()
    at_rest(app)


BEHIND = {
    "nothing": (b"", b""),
    "the next request": (b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3),
    "an upgrade": (b"Connection: Upgrade\r\nUpgrade: something\r\n", b""),
}


@pytest.mark.parametrize("rude", [False, True], ids=["closes", "resets"])
@pytest.mark.parametrize("what", BEHIND)
def test_waiting_for_the_client_to_go(app: App, what: str, rude: bool) -> None:
    """An app that waits until its client is gone is told, whatever came behind the request."""
    line, behind = BEHIND[what]
    sock = connect(app)
    sock.sendall(b"GET /waits HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n" + behind)
    wait_for(lambda: app.status()["in_flight"] == 1, 5, "the request")
    if rude:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    sock.close()
    at_rest(app)


def test_asking_after_the_answer(app: App) -> None:
    """An app that asks for more after its answer is told that the client is gone, each time."""
    with connect(app) as sock:
        upload(sock, "/asks", "a stream")
        next_is_answered(app, sock, read_answer(sock))
    with connect(app) as sock:
        sock.sendall(head("/asked", "Content-Length: 0"))
        assert read_answer(sock).status == 200


def test_a_body_that_is_read(app: App) -> None:
    """A body of 2 MB that the app reads arrives whole, over HTTP/1.1 and HTTP/2."""
    with connect(app) as sock:
        upload(sock, "/reads", "large")
        assert read_answer(sock).status == 200
    with Multiplexed(app) as client:
        stream = client.post("/reads")
        client.feed(stream, LARGE, end=True)
        assert client.status(stream) == 200


def test_expecting_to_be_asked(app: App) -> None:
    """Who waits for 100-continue gets it when the app reads, and else the answer alone."""
    expect = "Expect: 100-continue"
    with connect(app) as sock:
        sock.sendall(head("/answers", expect, "Content-Length: 2000000"))
        answer = read_answer(sock)
        assert (answer.status, answer.closes) == (401, True)
        assert wire.read_all(sock) == b""
    with connect(app) as sock:
        sock.sendall(head("/reads", expect, "Content-Length: 2000000"))
        assert sock.recv(12) == b"HTTP/1.1 100"
        rest = b""
        while not rest.endswith(b"\r\n\r\n"):
            rest += sock.recv(1)
        sock.sendall(LARGE)
        assert read_answer(sock).status == 200
    at_rest(app)


@pytest.mark.parametrize("framing", ["Content-Length: 6", "Content-Length: 0"])
def test_two_lengths(app: App, framing: str) -> None:
    """A request with Content-Length beside Transfer-Encoding is its connection's last one."""
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    with connect(app) as sock:
        sock.sendall(head("/", framing, "Transfer-Encoding: chunked") + b"0\r\n\r\n" + smuggled)
        answer = read_answer(sock)
        assert (answer.status, answer.closes) == (200, True)
        assert wire.read_all(sock) == b""


class Multiplexed:
    """One HTTP/2 connection, by hand."""

    def __init__(self, app: App) -> None:
        self._sock = connect(app, alpn="h2")
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._h2.initiate_connection()
        self._statuses: dict[int, int] = {}
        self.over: set[int] = set()
        self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def _flush(self) -> None:
        self._sock.sendall(self._h2.data_to_send())

    def post(self, path: str, *, end: bool = False, method: str = "POST") -> int:
        number = self._h2.get_next_available_stream_id()
        fields = {":method": method, ":path": path, ":scheme": "http", ":authority": "a"}
        if method == "CONNECT":
            fields |= {":protocol": "websocket", "sec-websocket-version": "13"}
        self._h2.send_headers(number, [*fields.items()], end_stream=end)
        self._flush()
        return number

    def feed(self, number: int, data: bytes, *, end: bool = False) -> None:
        """Send a body, as far as the stream is not ended, and as its window allows."""
        while data and number not in self.over:
            room = min(self._h2.local_flow_control_window(number), 16384)
            if room == 0:
                self._read()
                continue
            self._h2.send_data(number, data[:room], end_stream=end and len(data) <= room)
            data = data[room:]
            self._flush()

    def fill(self, number: int) -> None:
        """Send as much as the stream's window takes."""
        self.feed(number, b"x" * self._h2.local_flow_control_window(number))

    def begun(self, number: int) -> int:
        """Return an answer's status, once its head is there."""
        while number not in self._statuses:
            self._read()
        return self._statuses[number]

    def status(self, number: int) -> int:
        """Return an answer's status, once the stream is over."""
        while number not in self.over:
            self._read()
        return self._statuses.get(number, 0)

    def reset(self, number: int) -> None:
        self._h2.reset_stream(number, 8)
        self._flush()

    def _read(self) -> None:
        data = self._sock.recv(65536)
        assert data, "the connection has ended"
        for event in self._h2.receive_data(data):
            match event:
                case h2.events.ResponseReceived():
                    self._statuses[event.stream_id] = int(dict(event.headers)[":status"])
                case h2.events.StreamEnded() | h2.events.StreamReset():
                    self.over.add(event.stream_id)
        self._flush()


@pytest.mark.parametrize("body", ["parts", "window", "large"])
@pytest.mark.parametrize("end", [*ENDS, "gone"])
def test_http2(app: App, end: str, body: str) -> None:
    """What a stream leaves unread stops no other one, however much of it there is."""
    with Multiplexed(app) as client:
        for _ in range(5):
            number = client.post(f"/{end}")
            if body == "parts":
                for _ in range(30):
                    client.feed(number, b"x")
            elif body == "window":
                client.fill(number)
            else:
                client.feed(number, LARGE, end=True)
            other = client.post("/", end=True)
            assert client.status(other) == 200
            if end == "gone":
                if number not in client.over:
                    client.reset(number)
            elif end != "thinks":
                assert client.status(number) == ENDS[end]
        assert client.status(client.post("/", end=True)) == 200
    at_rest(app)


def message(data: bytes, opcode: int = 1) -> bytes:
    """Return a WebSocket's frame, masked with zeros."""
    return bytes([0x80 | opcode, 0x80 | len(data), 0, 0, 0, 0]) + data


TALK = b"".join(message(b"hello %d" % n) for n in range(40))


@pytest.mark.parametrize("end", [*ENDS, "gone"])
@pytest.mark.parametrize("much", [1, 100])
def test_websocket(app: App, end: str, much: int) -> None:
    """A WebSocket that is closed over unread messages ends, and its client sees the code."""
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    first = head(f"/{end}", *upgrade, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    with connect(app) as sock:
        sock.sendall(first.replace(b"POST", b"GET"))
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += sock.recv(1)
        assert received.startswith(b"HTTP/1.1 101")
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            for _ in range(much):
                sock.sendall(TALK)
        if end != "gone":
            code = {"returns": 1011}.get(end, 4001)
            assert wire.read_all(sock)[:4] == b"\x88\x02" + code.to_bytes(2)
    at_rest(app)


@pytest.mark.parametrize("end", [*ENDS, "gone"])
@pytest.mark.parametrize("much", [1, 100])
def test_websocket_over_http2(app: App, end: str, much: int) -> None:
    """The same over HTTP/2, where the connection's other streams go on."""
    with Multiplexed(app) as client:
        number = client.post(f"/{end}", method="CONNECT")
        assert client.begun(number) == 200
        for _ in range(much):
            client.feed(number, TALK)
        if end == "gone" and number not in client.over:
            client.reset(number)
        assert client.status(client.post("/", end=True)) == 200
        if end != "gone":
            client.status(number)
    at_rest(app)


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

"""An app that reads no byte of what its client sends, if it is not told to, and clients of it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import h2.config
import h2.connection
import h2.events

from tests.process import wire
from tests.process.kit import App, serve_asgi, wait_for

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
        if path == "/last":
            said = await receive()
            last.append((said.get("text"), await receive()))
            return
        if path == "/once":
            await once.wait()
            assert len((await receive())["bytes"]) == 4_000_000
        if path == "/late":
            await late.wait()
            for _ in range(10):
                assert len((await receive())["bytes"]) == 4_000_000
        await send({"type": "websocket.close", "code": 4001})
    elif path == "/asks":
        await answer(send, 401)
        said = [(await receive())["type"] for _ in range(3)]
        asked.extend(said)
    elif path == "/asked":
        await answer(send, 200 if asked == ["http.disconnect"] * 3 else 500)
    elif path == "/last":
        goodbye = {"type": "websocket.disconnect", "code": 1000}
        await answer(send, 200 if last and last.pop() == ("hello", goodbye) else 500)
    elif path in ("/once", "/late"):
        {"/once": once, "/late": late}[path].set()
        await answer(send, 200)
    elif path == "/reads":
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message["body"]), message["more_body"]
        await answer(send, 200 if size == 2_000_000 else 500)
    elif path == "/starts":
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"do", "more_body": True})
        while (await receive())["more_body"]:
            pass
        await send({"type": "http.response.body", "body": b"ne"})
    elif path == "/returns":
        return
    elif path == "/waits":
        while (await receive())["type"] != "http.disconnect":
            pass
    else:
        if path in ("/thinks", "/gone"):
            await asyncio.sleep(0.2)
        await answer(send, 401 if path != "/" else 200)

asked, last = [], []
once, late = asyncio.Event(), asyncio.Event()
"""

ENDS = {"answers": 401, "returns": 500, "thinks": 401}
CHUNKS = b"".join(b"1\r\nx\r\n" for _ in range(30)) + b"0\r\n\r\n"
LARGE = b"x" * 2_000_000


@contextlib.contextmanager
def serving(kind: str, folder: Path) -> Iterator[App]:
    """Serve for all of them, with TLS or plain, and leave in order at the end."""
    tls = ["--certfile", str(CERTIFICATE), "--keyfile", str(CERTIFICATE)]
    env = {"LIFECYCLE_SETTLE": "0.2", "LIFECYCLE_QUIET": "0.2"}
    with serve_asgi(App.start, folder, APP, *(tls if kind == "tls" else ()), **env) as app:
        app.env["TLS"] = kind
        app.wait_state("ready")
        yield app
        at_rest(app)
        app.stop()
        assert "Traceback" not in app.stderr, app.stderr
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


def zeros(size: int) -> bytes:
    """Return a WebSocket's message, of one byte in a thousand."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = (packer.compress(b"\0" * size) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    return b"\xc2\xfe" + len(data).to_bytes(2) + bytes(4) + data


class Multiplexed:
    """
    One HTTP/2 connection, by hand.

    Args:
        app: Who it is to.
        patience: Seconds for which nothing may come.
    """

    def __init__(self, app: App, patience: float = 10.0) -> None:
        self._sock = connect(app, alpn="h2")
        self._sock.settimeout(patience)
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
            fields["sec-websocket-extensions"] = "permessage-deflate; client_no_context_takeover"
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

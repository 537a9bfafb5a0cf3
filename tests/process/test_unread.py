"""
What nobody reads is thrown away: a request's body, a WebSocket's messages.

Every app here answers, returns or thinks without reading a byte of what its client sends, over
every protocol, with TLS and without. Nothing is in flight for longer than that, and nothing else
on the connection waits for it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process import wire
from tests.process.kit import App, wait_for
from tests.process.unread import (
    BODIES,
    ENDS,
    LARGE,
    Multiplexed,
    at_rest,
    connect,
    head,
    next_is_answered,
    read_answer,
    serving,
    upload,
    zeros,
)


@pytest.fixture(scope="module", params=["plain", "tls"])
def app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Serve for all of them, and leave in order at the end."""
    with serving(request.param, tmp_path_factory.mktemp("unread")) as app:
        yield app


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
    """Who waits for 100-continue gets it if the app reads first, and else the answer alone."""
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
    with connect(app) as sock:
        sock.sendall(head("/starts", expect, "Content-Length: 2000000"))
        received = b""
        while not received.endswith(b"do"):
            received += sock.recv(65536)
        sock.sendall(LARGE)
        answer = wire.read(received + wire.read_all(sock))
        assert (answer.status, answer.body, answer.closes) == (200, b"done", True)
    at_rest(app)


def test_what_is_not_quite_head(app: App) -> None:
    """A method's case counts: no answer has a length without its bytes, and the log is clean."""
    with connect(app) as sock:
        sock.sendall(b"Head / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = wire.read(wire.read_all(sock))
    assert (answer.status, answer.closes, answer.body) == (501, True, b"")


@pytest.mark.parametrize("framing", ["Content-Length: 6", "Content-Length: 0"])
def test_two_lengths(app: App, framing: str) -> None:
    """A request with Content-Length beside Transfer-Encoding is its connection's last one."""
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    with connect(app) as sock:
        sock.sendall(head("/", framing, "Transfer-Encoding: chunked") + b"0\r\n\r\n" + smuggled)
        answer = read_answer(sock)
        assert (answer.status, answer.closes) == (200, True)
        assert wire.read_all(sock) == b""


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


TALK = b"".join(wire.message(b"hello %d" % n) for n in range(40))


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


def test_the_last_message_before_a_close(app: App) -> None:
    """A message right before its client's close reaches the app, which is told 1000 then."""
    with connect(app) as sock:
        upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
        first = head("/last", *upgrade, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        sock.sendall(first.replace(b"POST", b"GET"))
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += sock.recv(1)
        sock.sendall(wire.GOODBYE)
        assert wire.read_all(sock) == b"\x88\x02\x03\xe8"
    at_rest(app)
    with connect(app) as sock:
        sock.sendall(head("/last", "Content-Length: 0"))
        assert read_answer(sock).status == 200
    with Multiplexed(app) as client:
        number = client.post("/last", method="CONNECT")
        assert client.begun(number) == 200
        client.feed(number, wire.GOODBYE)
        client.status(number)
        assert client.status(client.post("/last", end=True)) == 200
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


def most_memory(app: App) -> int:
    """Return the KiB that it has had at most."""
    status = Path(f"/proc/{app.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def test_a_message_that_waits_is_there_once(app: App) -> None:
    """One unread message of 4 MB on each of 15 streams takes 60 MB, and not twice that."""
    with Multiplexed(app) as client:
        numbers = [client.post("/once", method="CONNECT") for _ in range(15)]
        for number in numbers:
            assert client.begun(number) == 200
            client.feed(number, zeros(4_000_000))
            assert client.status(client.post("/", end=True)) == 200
        assert client.status(client.post("/once", end=True)) == 200
        for number in numbers:
            client.status(number)
        assert most_memory(app) < 140_000
    at_rest(app)


def test_compressed_messages_over_http2(app: App) -> None:
    """Messages that nobody reads yet stay compressed, and come whole once they are asked for."""
    # Unpacking them is a second of work in which nothing is sent, and a busy machine stretches it.
    with Multiplexed(app, patience=60) as client:
        numbers = [client.post("/late", method="CONNECT") for _ in range(7)]
        for number in numbers:
            assert client.begun(number) == 200
            client.feed(number, zeros(4_000_000) * 10)
        assert client.status(client.post("/", end=True)) == 200
        assert most_memory(app) < 250_000
        assert client.status(client.post("/late", end=True)) == 200
        for number in numbers:
            client.status(number)
    at_rest(app)

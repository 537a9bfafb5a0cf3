"""What a hostile or broken client can do to the QOS port: nothing that lasts."""

from __future__ import annotations

import contextlib
import os
import random
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.process import wire
from tests.process.kit import App, wait_for

pytestmark = pytest.mark.usefixtures("many_descriptors")

Start = Callable[..., App]

HEADER_TIME = 2.0
LIVE = b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n"

SERVICE = """
import asyncio, gc, os, threading
import lifecycle
from lifecycle import Command, hookimpl

class Inside:
    @hookimpl
    def lifecycle_commands(self):
        def opens(request):  # as an app that needs descriptors
            files = [open(os.devnull) for _ in range(60)]
            for file in files:
                file.close()
            return str(len(files))

        return [Command("opens", opens)]

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    await life.drained()

lifecycle.run(main, plugins=[Inside()])
"""


@pytest.fixture
def app(start: Start) -> Iterator[App]:
    """Serve under a limit of 256 descriptors, without a word of complaint."""
    app = start(SERVICE, nofile=256)
    app.wait_state("ready")
    yield app
    assert app.running
    assert app.stderr == "", app.stderr


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Serve for all tests that send one bad thing."""
    with App.start(SERVICE, cwd=tmp_path_factory.mktemp("floods"), nofile=256) as app:
        app.wait_state("ready")
        yield app
        assert app.running
        assert app.stderr == "", app.stderr


def descriptors(app: App) -> int:
    return len(os.listdir(f"/proc/{app.pid}/fd"))


def lives(app: App) -> bool:
    """Ask `/live` over TCP; one more from the address of a storm may be refused."""
    try:
        return app.get("/live")[:2] == (200, "true")
    except ConnectionError:
        return False


def closed_after(sock: socket.socket, timeout: float) -> float:
    """Return the seconds until the other side closes a connection."""
    began = time.monotonic()
    sock.settimeout(timeout)
    wire.read_all(sock)
    return time.monotonic() - began


@pytest.mark.parametrize("said", [b"", b"G", LIVE], ids=["nothing", "one byte", "half a header"])
def test_a_thousand_idle_connections(app: App, said: bytes) -> None:
    """1,000 connections that say nothing starve neither the probes nor the app."""
    before = descriptors(app)
    slowest, most = 0.0, 0
    with contextlib.ExitStack() as stack:
        for number in range(1000):
            sock = stack.enter_context(wire.connect(("127.0.0.1", app.qos)))
            with contextlib.suppress(ConnectionError):
                sock.sendall(said)
            if number % 50 == 49:
                status, body, seconds = app.get("/live", timeout=5)
                assert (status, body) == (200, "true")
                slowest, most = max(slowest, seconds), max(most, descriptors(app))
        assert app.get("/opens")[:2] == (200, "60\n")
        assert app.control("GET", "/ready")[:2] == (200, "true")
    print(f"{said[:4]!r}: slowest probe {slowest * 1000:.1f} ms, at most {most} descriptors")
    assert slowest < 3.0
    assert most < 256 - 60
    wait_for(lambda: descriptors(app) <= before + 1, HEADER_TIME + 3, "descriptors given back")


def test_a_storm_of_short_connections(app: App) -> None:
    """Connections that come and go, in every rude way, leave nothing behind."""
    app.get("/live")
    before = descriptors(app)
    for number in range(600):
        sock = wire.connect(("127.0.0.1", app.qos))
        with contextlib.suppress(ConnectionError):
            sock.sendall((b"", LIVE, LIVE + b"\r\n")[number % 3])
        if number % 2:  # a reset instead of an end
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    wait_for(lambda: lives(app), HEADER_TIME, "an answer, once the storm has been read")
    wait_for(lambda: descriptors(app) <= before + 1, HEADER_TIME + 3, "descriptors given back")


def test_a_slow_header(shared: App) -> None:
    """A header has 2 s, however it dribbles in."""
    with contextlib.ExitStack() as stack:
        clients = {}
        for said in (b"", b"G", b"GET /li", LIVE, LIVE + b"X: "):
            sock = stack.enter_context(wire.connect(("127.0.0.1", shared.qos)))
            sock.sendall(said)
            sock.setblocking(False)
            clients[sock] = bool(said)
        began = time.monotonic()
        took = []

        def all_over() -> bool:
            for sock, dribbles in list(clients.items()):
                try:
                    if dribbles:
                        sock.sendall(b"x")
                    over = sock.recv(1) == b""
                except BlockingIOError:
                    over = False
                except ConnectionError:
                    over = True
                if over:
                    took.append(time.monotonic() - began)
                    del clients[sock]
            return not clients

        wait_for(all_over, HEADER_TIME + 3, lambda: f"the end of {len(clients)} slow headers")
    print("closed after", [f"{each:.2f} s" for each in took])
    assert min(took) > HEADER_TIME - 0.3
    assert max(took) < HEADER_TIME + 3


def test_a_kept_connection(shared: App) -> None:
    """A kept connection answers again and again, and is closed 2 s after its last request."""
    with wire.connect(("127.0.0.1", shared.qos)) as sock:
        for _ in range(3):
            sock.sendall(LIVE + b"\r\n")
            received = b""
            while not received.endswith(b"\r\n\r\ntrue"):
                chunk = sock.recv(4096)
                assert chunk, received
                received += chunk
        assert HEADER_TIME - 0.5 < closed_after(sock, HEADER_TIME + 3) < HEADER_TIME + 1


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\r\n\r\n\r\n", 400),
        (b"\x00" * 512, 400),
        (random.Random(2048).randbytes(2048) + b"\r\n\r\n", 400),
        (
            bytes.fromhex("16030100a5010000a10303") + random.Random(150).randbytes(150) + b"\r\n",
            400,
        ),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", 400),
        (b"GET /live\r\n\r\n", 400),
        (b"GET /live HTTP/9.9\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
        (b"GET /live HTTP/1.1\r\n\r\n", 400),
        (b"GET /live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /l\xc3\xadve HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /live HTTP/1.1\r\nHost: a\r\nX y: 1\r\n\r\n", 400),
        (b"GET /live HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", 400),
        (b"GET /live HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /live HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET /live HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        (LIVE + b"X: " + b"a" * 100_000 + b"\r\n\r\n", 431),
        (LIVE + b"".join(b"X-%d: y\r\n" % n for n in range(10_000)) + b"\r\n", 431),
        (LIVE + b"Connection: close\r\nExpect: 100-continue\r\n\r\n", 200),
        (LIVE + b"Connection: close\r\nExpect: 42\r\n\r\n", 200),
        (b"GET /live HTTP/1.0\r\n\r\n", 200),
        (b"GET /live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200),
        (b"GET http://127.0.0.1/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404),
        (b"TRACE /live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405),
        (b"GET /live?%zz&=&&a=%ff HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else None,
)
def test_one_bad_request(shared: App, data: bytes, status: int) -> None:
    """Whatever comes, the answer is clean, the connection ends, and the next one is served."""
    received = wire.exchange(("127.0.0.1", shared.qos), data)

    final = re.sub(rb"^HTTP/1.1 100 [^\r]*\r\n(?:[^\r]+\r\n)*\r\n", b"", received)
    assert final[9:12] == str(status).encode(), received[:300]
    assert shared.get("/live")[:2] == (200, "true")


H2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = bytes.fromhex("000000040000000000")


BROKEN = [
    H2,
    H2 + b"\xff" * 100,
    H2 + SETTINGS + bytes.fromhex("ffffff 01 05 00000001") + b"\xff" * 100,
    H2 + SETTINGS + bytes.fromhex("000004 01 05 00000001 ffffffff"),
    H2 + SETTINGS + bytes.fromhex("000004 03 00 00000007 00000000"),
    H2 + SETTINGS + bytes.fromhex("000008 07 00 00000000 00000000 00000001"),
    H2 + SETTINGS * 5000,
    LIVE + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: !!\r\n\r\n",
    LIVE + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
    LIVE + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    LIVE + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    LIVE + b"Connection: Upgrade\r\nUpgrade: nonsense\r\n\r\n",
    b"POST /live HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /live HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab",
]


def test_bad_protocols(shared: App) -> None:
    """Broken HTTP/2, upgrades and bodies end their connection in 2 s, and nothing else."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(wire.connect(("127.0.0.1", shared.qos))) for _ in BROKEN]
        for sock, data in zip(socks, BROKEN, strict=True):
            with contextlib.suppress(ConnectionError):
                sock.sendall(data)
        deadline = time.monotonic() + HEADER_TIME + 5
        for sock, data in zip(socks, BROKEN, strict=True):
            with contextlib.suppress(ConnectionError):
                sock.settimeout(max(0.1, deadline - time.monotonic()))
                try:
                    wire.read_all(sock)
                except TimeoutError:
                    pytest.fail(f"still open: {data[:80]!r}")
    assert shared.get("/live")[:2] == (200, "true")


def test_a_huge_body(shared: App) -> None:
    """A body is never taken in: the answer comes, and the connection ends."""
    for path in (b"/live", b"/offline?service=nosuch"):
        head = (
            b"POST "
            + path
            + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Lifecycle: 1\r\n"
            + b"Content-Length: 100000000000\r\n\r\n"
        )
        received = wire.exchange(("127.0.0.1", shared.qos), head + b"x" * 5_000_000)

        assert received == b"" or received[9:12] in (b"404", b"405")
    memory = Path(f"/proc/{shared.pid}/status").read_text()
    rss = int(re.findall(r"VmHWM:\s+(\d+)", memory)[0])
    print(f"at most {rss / 1024:.0f} MiB")
    assert rss < 200_000


def test_pipelining(shared: App) -> None:
    """Requests sent ahead are answered in their order, also by who never reads them."""
    paths = [b"/live", b"/nosuch", b"/ready", b"/version"] * 25
    data = b"".join(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n" for path in paths)
    data += LIVE + b"Connection: close\r\n\r\n"
    received = wire.exchange(("127.0.0.1", shared.qos), data)

    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"404", b"200", b"200"] * 25 + [
        b"200"
    ]

    deaf = wire.connect(("127.0.0.1", shared.qos), timeout=0.5)
    with deaf, contextlib.suppress(TimeoutError, ConnectionError):
        while True:
            deaf.sendall(data[:-30] * 10)
            assert shared.get("/live")[2] < 3.0
    assert shared.get("/live")[:2] == (200, "true")


def test_half_closed(app: App) -> None:
    """Who sends a request and closes its half is answered; nothing stays behind."""
    app.get("/live")
    before = descriptors(app)
    for number in range(200):
        with wire.connect(("127.0.0.1", app.qos)) as sock:
            sock.sendall(LIVE + b"\r\n" if number % 2 else LIVE)
            sock.shutdown(socket.SHUT_WR)
            received = wire.read_all(sock)
            assert received.endswith(b"\r\n\r\ntrue") or not number % 2
    wait_for(lambda: descriptors(app) <= before + 1, 1.0, "descriptors given back at once")

"""
`run --asgi --server uvicorn`: what speaks with clients is uvicorn's, the drain is the same.

Each case goes for another of uvicorn's protocols, so that none of them is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import websockets

from tests.process import wire
from tests.process.kit import App, free_port, serve_asgi, wait_for
from tests.process.serving import CERTIFICATE

Start = Callable[..., App]

TIMES = {
    "LIFECYCLE_SETTLE": "0.7",
    "LIFECYCLE_QUIET": "0.3",
    "LIFECYCLE_STOP_TIMEOUT": "1",
    "LIFECYCLE_GRACE_PERIOD": "10",
}
EARLY = 7.0
"""Seconds of the drain by which a process has closed that nobody has held up: its deadline."""

APP = """
import asyncio

async def whole(receive):
    while (await receive()).get("more_body"):
        pass

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        scope["state"]["pool"] = "pool"
        while True:
            message = await receive()
            print(message["type"], flush=True)
            await send({"type": message["type"] + ".complete"})
            if message["type"].endswith("shutdown"):
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        if scope["path"] == "/last":
            print("said", (await receive())["text"], (await receive())["code"], flush=True)
            return
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        print("code", message["code"], flush=True)
        return
    headers = [(b"content-length", b"4")]
    if scope["path"] == "/slow":
        await whole(receive)
    if scope["path"] == "/long":
        await asyncio.sleep(60)
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/begun":
        await send({"type": "http.response.body", "body": b"do", "more_body": True})
        await asyncio.sleep(60)
    if scope["path"] == "/promised":
        await send({"type": "http.response.body", "body": b"po", "more_body": True})
        await whole(receive)
        await send({"type": "http.response.body", "body": b"ol"})
        return
    loop = type(asyncio.get_running_loop()).__module__.split(".")[0]
    body = loop[:4] if scope["path"] == "/loop" else scope["state"]["pool"]
    await send({"type": "http.response.body", "body": body.encode()})
"""

MAIN = """
import os
import sys
from dataclasses import replace
from functools import partial
from lifecycle.cli.run import _tls
from lifecycle.process.serve_asgi import serve
from lifecycle.serving.sockets import bind
from lifecycle.serving.uvicorn import KIND, UvicornServer
from web import app
from types import SimpleNamespace

async def main(life):
    kind = replace(KIND, make=partial(UvicornServer, http=os.environ["HTTP"], ws=os.environ["WS"]))
    names = os.environ["CERTIFICATE"] or None
    await serve(
        life,
        app=app,
        kind=kind,
        sockets=[bind("127.0.0.1:" + os.environ["PORT"])],
        services=[("shop", int(os.environ["PORT"]))],
        keep_alive=75.0,
        tls=_tls(SimpleNamespace(certfile=names, keyfile=names), kind),
    )
"""

UPGRADE = (
    b" HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def _serve(
    start: Start,
    folder: Path,
    loop: str,
    *,
    http: str = "auto",
    ws: str = "auto",
    tls: bool = False,
    **env: str,
) -> App:
    (folder / "web.py").write_text(APP)
    (folder / "main.py").write_text(MAIN)
    certificate = str(CERTIFICATE) if tls else ""
    env = {**TIMES, "HTTP": http, "WS": ws, "CERTIFICATE": certificate, **env}
    app = start(
        ["-m", "lifecycle", "run", "--loop", loop, "main:main"],
        cwd=folder,
        env={"PORT": str(free_port()), **env},
    )
    app.wait_state("ready")
    return app


def _connect(app: App, tls: bool) -> socket.socket:
    sock = wire.connect(("127.0.0.1", app.port), timeout=10.0)
    if not tls:
        return sock
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    secure = context.wrap_socket(sock)
    assert secure.selected_alpn_protocol() == "http/1.1"
    return secure


def _send(sock: socket.socket, path: str) -> None:
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())


def _hold(sock: socket.socket, path: str) -> None:
    """Send a request whose answer waits for one more byte of it."""
    sock.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n".encode())


def _read(sock: socket.socket) -> wire.Answer:
    received = b""
    while b"\r\n\r\n" not in received or len(received.partition(b"\r\n\r\n")[2]) < 4:
        received += (chunk := sock.recv(4096))
        assert chunk, received
    return wire.read(received)


def _assert_undisturbed(app: App) -> None:
    assert app.wait() == 0, app.stderr
    [report] = app.events("drain report")
    assert "cut_off" not in report, report
    assert report["steps"]["close"] < EARLY, report
    assert app.stdout.split()[:1] + app.stdout.split()[-1:] == [
        "lifespan.startup",
        "lifespan.shutdown",
    ]
    assert "Traceback" not in app.stderr, app.stderr


@pytest.fixture
def opened() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.mark.parametrize(
    ("http", "loop", "tls"),
    [
        ("httptools", "uvloop", False),
        ("h11", "asyncio", False),
        ("httptools", "asyncio", True),
        ("h11", "uvloop", True),
    ],
    ids=["httptools-uvloop", "h11-asyncio", "httptools-asyncio-tls", "h11-uvloop-tls"],
)
def test_kept_connections_in_a_drain(
    start: Start, tmp_path: Path, opened: contextlib.ExitStack, http: str, loop: str, tls: bool
) -> None:
    """
    Idle ones are closed at settle; who has not asked, or has begun to, is answered and told to go.

    What had promised to stay open before T0 is closed as an idle one is, once it has ended.
    """
    app = _serve(start, tmp_path, loop, http=http, tls=tls)
    names = ("idle", "new", "begun", "slow", "promised")
    sock = {name: opened.enter_context(_connect(app, tls)) for name in names}
    for name in ("idle", "begun"):
        _send(sock[name], "/")
        assert not _read(sock[name]).closes
    sock["begun"].sendall(b"GET / HTTP/1.1\r\n")
    _hold(sock["slow"], "/slow")
    _hold(sock["promised"], "/promised")
    received = b""
    while not received.endswith(b"po"):
        received += sock["promised"].recv(4096)
    assert b"connection: close" not in received
    wait_for(lambda: app.status()["in_flight"] == 2, 5, "two requests")
    at = app.signal(signal.SIGTERM)

    assert sock["idle"].recv(1) == b""
    assert time.monotonic() - at > 0.6  # and two requests are still under way
    for name in ("slow", "promised"):
        sock[name].sendall(b"x")
    _send(sock["new"], "/")
    sock["begun"].sendall(b"Host: a\r\n\r\n")
    for name in ("new", "begun", "slow"):
        answer = _read(sock[name])
        assert (answer.status, answer.closes) == (200, True), name
        assert sock[name].recv(1) == b""
    assert wire.read_all(sock["promised"]) == b"ol"
    _assert_undisturbed(app)


@pytest.mark.parametrize(
    ("ws", "loop"),
    [("websockets", "asyncio"), ("websockets-sansio", "uvloop"), ("wsproto", "asyncio")],
)
def test_websockets_are_closed_with_1001(
    start: Start, tmp_path: Path, opened: contextlib.ExitStack, ws: str, loop: str
) -> None:
    """
    The app is told 1001 too; a client that does not answer the close holds nobody up.

    What a client says right before it closes by itself reaches the app, which is told 1000 then.
    """
    app = _serve(start, tmp_path, loop, ws=ws)
    mute, last = (opened.enter_context(_connect(app, tls=False)) for _ in range(2))
    for sock, path in ((mute, b"/mute"), (last, b"/last")):
        sock.sendall(b"GET " + path + UPGRADE)
    while not (received := last.recv(4096)).endswith(b"\r\n\r\n"):
        assert received
    last.sendall(wire.GOODBYE)
    assert wire.read_all(last) == b"\x88\x02\x03\xe8"
    last.close()
    wait_for(lambda: "said hello 1000" in app.stdout, 5, "said")

    async def talk() -> int | None:
        async with websockets.connect(f"ws://127.0.0.1:{app.port}/") as client:
            await client.send("hello")
            assert await client.recv() == "hello"
            while app.status()["in_flight"] < 2:
                await asyncio.sleep(0.01)
            app.signal(signal.SIGTERM)
            async for _ in client:
                continue
            return client.close_code

    assert asyncio.run(asyncio.wait_for(talk(), 10)) == 1001
    _assert_undisturbed(app)
    assert app.stdout.count("code 1001") == 2
    assert b"\x88\x02\x03\xe9" in wire.read_all(mute)


def test_what_is_cut_at_the_deadline(start: Start, tmp_path: Path) -> None:
    """A request whose answer has not begun gets a 500, and nobody a traceback of a cancelled app."""
    app = _serve(start, tmp_path, "uvloop", LIFECYCLE_GRACE_PERIOD="6")
    socks = {path: _connect(app, tls=False) for path in ("/long", "/begun")}
    for path, sock in socks.items():
        _send(sock, path)
    wait_for(lambda: app.status()["in_flight"] == 2, 5, "two requests")
    app.signal(signal.SIGTERM)
    with socks["/long"] as sock:
        answer = wire.read(wire.read_all(sock))
        assert (answer.status, answer.closes) == (500, True)
    with socks["/begun"] as sock:
        assert wire.read(wire.read_all(sock)).body == b"do"
    assert app.wait() == 124, app.stderr
    assert "Traceback" not in app.stderr, app.stderr


def test_the_command_line(start: Start, tmp_path: Path) -> None:
    """Several binds, and uvloop where it is installed."""
    path = tmp_path / "s"
    words = ["--server", "uvicorn", "--bind", f"unix:{path}"]
    app = serve_asgi(start, tmp_path, APP, *words, **TIMES)
    app.wait_state("ready")
    [listening] = wait_for(lambda: app.events("listening"), 10, lambda: app.stderr)
    assert listening["on"] == [f"http://127.0.0.1:{app.port}", f"unix:{path}"]
    for where in (("127.0.0.1", app.port), str(path)):
        answer = wire.ask(where, "/loop")
        assert (answer.status, answer.body) == (200, b"uvlo")
        assert "date" in answer.headers
    app.stop()
    assert "/loop" not in app.stdout + app.stderr
    assert not path.exists()


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("raise ModuleNotFoundError(name='uvicorn')", "uvicorn is not installed"),
        ("__version__ = '0.22.0'", "uvicorn 0.22.0 is too old"),
    ],
    ids=["none", "old"],
)
def test_an_environment_without_it(start: Start, tmp_path: Path, module: str, said: str) -> None:
    """What is missing, and how to get it; exit code 2."""
    (tmp_path / "uvicorn.py").write_text(module)
    app = serve_asgi(start, tmp_path, APP, "--server", "uvicorn")
    assert app.wait() == 2
    [line] = [each for each in app.stderr.splitlines() if each.startswith("lifecycle")]
    assert said in line
    assert "pip install 'pod-lifecycle[uvicorn]'" in line
    assert "Traceback" not in app.stderr, app.stderr

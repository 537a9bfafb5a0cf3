"""`lifecycle run --asgi --access-log`, under both servers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import websockets

from lifecycle.testing.environment import handed_on
from tests.process import wire
from tests.process.h2_client import H2Client
from tests.process.kit import LATEST, App, free_port, serve_asgi, wait_for

Start = Callable[..., App]

SERVERS = ["hypercorn", "uvicorn"]
TIMES = {
    "LIFECYCLE_SETTLE": "0.1",
    "LIFECYCLE_QUIET": "0.1",
    "LIFECYCLE_GRACE_PERIOD": "4",
    "LIFECYCLE_STOP_TIMEOUT": "0.5",
}
APP = """
import asyncio

async def answer(send, status, body=b"hello"):
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"].endswith("shutdown"):
                return
    path = scope["path"]
    if scope["type"] == "websocket":
        await receive()
        if path == "/no":
            await send({"type": "websocket.close", "code": 4000})
            return
        await send({"type": "websocket.accept"})
        while (await receive())["type"] == "websocket.receive":
            pass
        return
    if path == "/missing":
        await answer(send, 404)
    elif path == "/raises":
        raise ValueError("no such order")
    elif path == "/slow":
        await asyncio.sleep(0.3)
        await answer(send, 200)
        await asyncio.sleep(0.5)
    elif path == "/never":
        await asyncio.sleep(3600)
    else:
        await answer(send, 200)
"""


@pytest.fixture(params=SERVERS)
def serve(request: pytest.FixtureRequest, start: Start, tmp_path: Path) -> Callable[..., App]:
    """Serve the app by one of the servers."""

    def serve(*words: str, **env: str) -> App:
        more = ("--server", request.param, *words)
        app = serve_asgi(start, tmp_path, APP, *more, **(TIMES | env))
        app.wait_state("ready")
        return app

    return serve


def ask(app: App, path: str, **how: Any) -> int:
    """Send one request, and return its status."""
    return wire.ask(("127.0.0.1", app.port), path, **how).status


def requests(app: App, count: int) -> list[dict[str, Any]]:
    """Return the events, once so many are written."""
    wait_for(lambda: len(app.events("request")) >= count, 10, lambda: app.stderr)
    return app.events("request")


def test_what_is_logged_of_a_request(serve: Callable[..., App]) -> None:
    """Who, what, how it ended, and how long the answer took; one event each, in their order."""
    app = serve("--access-log")
    for method, path, status in (
        ("GET", "/orders", 200),
        ("POST", "/missing", 404),
        ("GET", "/raises", 500),
        ("DELETE", "/orders/7?token=secret", 200),
    ):
        assert ask(app, path, method=method) == status
    found = requests(app, 4)
    assert [(each["method"], each["path"], each["status"]) for each in found] == [
        ("GET", "/orders", 200),
        ("POST", "/missing", 404),
        ("GET", "/raises", 500),
        ("DELETE", "/orders/7", 200),
    ]
    for each in found:
        host, _, port = each["client"].rpartition(":")
        assert (host, int(port) > 0, each["protocol"]) == ("127.0.0.1", True, "http/1.1")
        assert 0 <= each["ms"] < 10_000
        assert each["level"] == "info"
        assert "cut_off" not in each
    assert "secret" not in app.stderr
    app.stop()


def test_the_time_is_that_of_the_answer(serve: Callable[..., App]) -> None:
    """And not what the app does after it."""
    app = serve("--access-log")
    assert ask(app, "/slow") == 200
    (found,) = requests(app, 1)
    assert 299 <= found["ms"] < 700  # a loop may wake a timer a moment early
    app.stop()


def test_without_it_nothing_is_logged(serve: Callable[..., App]) -> None:
    """Also by the server itself. The report of the drain may name the last request."""
    app = serve()
    assert ask(app, "/orders") == 200
    app.stop()
    lines = (app.stderr + app.stdout).splitlines()
    assert not [each for each in lines if "/orders" in each and '"drain report"' not in each]


def test_at_a_higher_level_nothing_is_logged(serve: Callable[..., App]) -> None:
    """A request is an info."""
    app = serve("--access-log", "--log-level", "warning")
    assert ask(app, "/one") == 200
    app.stop()
    assert "/one" not in app.stderr


def test_the_level_can_be_changed_while_the_app_runs(serve: Callable[..., App]) -> None:
    """From then on requests are logged."""
    app = serve("--access-log", "--log-level", "warning")
    assert app.get("/log-level/lifecycle?level=INFO", method="POST")[0] == 200
    assert ask(app, "/two") == 200
    assert [each["path"] for each in requests(app, 1)] == ["/two"]
    app.stop()


def test_a_websocket_is_logged_when_it_ends(serve: Callable[..., App]) -> None:
    """101 if the app accepted it, 403 if not."""
    app = serve("--access-log")

    async def talk() -> None:
        async with websockets.connect(f"ws://127.0.0.1:{app.port}/ws?token=secret"):
            pass
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(f"ws://127.0.0.1:{app.port}/no")

    asyncio.run(asyncio.wait_for(talk(), 20))
    found = requests(app, 2)
    assert sorted((each["path"], each["status"]) for each in found) == [("/no", 403), ("/ws", 101)]
    assert {(each["method"], each["protocol"]) for each in found} == {("WebSocket", "websocket")}
    app.stop()


def test_http_2(start: Start, tmp_path: Path) -> None:
    """Each stream is a request."""
    app = serve_asgi(start, tmp_path, APP, "--access-log", **TIMES)
    app.wait_state("ready")

    async def talk() -> None:
        client = await H2Client.open(app.port)
        await asyncio.gather(client.ask("/a"), client.ask("/b"))
        await client.close()

    asyncio.run(asyncio.wait_for(talk(), 20))
    found = requests(app, 2)
    assert sorted(each["path"] for each in found) == ["/a", "/b"]
    assert {each["protocol"] for each in found} == {"http/2"}
    app.stop()


def test_over_a_unix_socket(serve: Callable[..., App], tmp_path: Path) -> None:
    """There is no address of a client."""
    app = serve("--access-log", "--bind", f"unix:{tmp_path / 's'}")
    assert wire.ask(str(tmp_path / "s"), "/orders").status == 200
    assert requests(app, 1)[0]["client"] == "unix socket"
    app.stop()


HOSTILE = ["/a%0d%0a{%22event%22:%22killed%22}", "/%1b[2J%1b[31m", "/%e2%80%ae", "/" + "x" * 5000]


def test_what_a_client_sends_stays_on_its_line(serve: Callable[..., App]) -> None:
    """It can neither fake an event, nor move a cursor, nor make a line of megabytes."""
    app = serve("--access-log")
    for path in HOSTILE:
        assert ask(app, path) == 200
    found = requests(app, len(HOSTILE))
    assert [each["path"].isprintable() for each in found] == [True] * len(HOSTILE)
    assert max(map(len, app.stderr.splitlines())) < 1000
    assert app.events("killed") == []
    app.stop()


def test_what_a_proxy_sends_stays_on_its_line(start: Start, tmp_path: Path) -> None:
    """Uvicorn takes the client's address from a header."""
    app = serve_asgi(start, tmp_path, APP, "--server", "uvicorn", "--access-log", **TIMES)
    app.wait_state("ready")
    evil = "\\x1b[31m" + "y" * 3000
    assert ask(app, "/", headers=(f"X-Forwarded-For: {evil}",)) == 200
    (found,) = requests(app, 1)
    assert len(found["client"]) < 100
    assert found["client"].isprintable()
    app.stop()


def test_what_is_cut_off_is_logged_too(serve: Callable[..., App]) -> None:
    """Without a status, because the app gave none."""
    app = serve("--access-log")
    caught: list[Any] = []
    client = threading.Thread(target=lambda: caught.append(ask(app, "/never")))
    client.start()
    wait_for(lambda: (app.status() or {})["in_flight"] == 1, 10, "a request")
    assert app.stop(124) < LATEST
    client.join(10)
    (found,) = requests(app, 1)
    assert (found["path"], found["status"], found["cut_off"]) == ("/never", None, True)
    assert found["ms"] >= 1000


@pytest.mark.parametrize("server", SERVERS)
def test_nobody_who_reads_it_delays_nothing(tmp_path: Path, server: str) -> None:
    """The pipe is full, and requests, probes and the drain are as ever."""
    (tmp_path / "web.py").write_text(APP)
    port, qos = free_port(), free_port()
    env = handed_on() | TIMES | {"LIFECYCLE_QOS_PORT": str(qos), "LIFECYCLE_RUN_DIR": str(tmp_path)}
    argv = [sys.executable, "-m", "lifecycle", "run", "--asgi", "--bind", f"127.0.0.1:{port}"]
    argv += ["--server", server, "--access-log", "web:app"]
    reading, writing = os.pipe()
    process = subprocess.Popen(argv, cwd=tmp_path, env=env, stderr=writing)
    os.close(writing)
    try:
        where = ("127.0.0.1", qos)
        wait_for(lambda: _answers(where, "/startup"), 20, "a start")
        for _ in range(2):
            with wire.connect(("127.0.0.1", port)) as sock:
                for _ in range(500):
                    sock.sendall(b"GET /" + b"x" * 250 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
                    received = b""
                    while b"hello" not in received:
                        received += (chunk := sock.recv(4096))
                        assert chunk, received
        assert _answers(where, "/live")
        process.send_signal(signal.SIGTERM)
        assert process.wait(LATEST) == 0
    finally:
        process.kill()
        process.wait(10)
        os.close(reading)


def _answers(where: tuple[str, int], path: str) -> bool:
    try:
        return wire.ask(where, path).status == 200
    except (OSError, IndexError):
        return False


def test_on_a_terminal_it_is_a_readable_line(start: Start, tmp_path: Path) -> None:
    """As every event is."""
    (tmp_path / "web.py").write_text(APP)
    port = str(free_port())
    words = ["-m", "lifecycle", "run", "--asgi", "--bind", f"127.0.0.1:{port}", "--access-log"]
    app = start([*words, "web:app"], env=TIMES | {"PORT": port}, tty=True)
    app.wait_state("ready")
    assert ask(app, "/orders%1b[2J") == 200
    line = wait_for(
        lambda: next((each for each in app.stdout.splitlines() if "/orders" in each), ""),
        10,
        lambda: app.stdout,
    )
    assert "request" in line
    assert "\x1b[2J" not in line
    assert not line.startswith("{")
    app.stop()

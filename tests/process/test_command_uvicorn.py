"""`lifecycle run -- uvicorn …`: counted, told to go, and nobody is lost."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
import time

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from lifecycle.process.command.processes import look_at
from tests.process.command_drain import assert_drains, serve
from tests.process.commands import descendants, run
from tests.process.kit import ask, background, free_port, wait_for

WEB = """
import asyncio
async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": message["text"]})
        print("app saw", message["code"], flush=True)
        return
    if scope["type"] != "http":
        return
    headers = [(b"content-length", b"5")]
    if scope["path"] == "/events":
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-type", b"text/event-stream")]})
        while True:
            await send({"type": "http.response.body", "body": b"data: 1\\n\\n", "more_body": True})
            await asyncio.sleep(0.05)
    if scope["path"] == "/slow":
        await asyncio.sleep(2)
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})
"""

WITH_SERVERS = """
import asyncio, contextlib, subprocess, sys, threading, urllib.request
import uvicorn
from werkzeug.serving import make_server

def metrics(environ, start_response):
    start_response("200 OK", [])
    return [b""]

threads = make_server("127.0.0.1", 0, metrics, threaded=True)
threading.Thread(target=threads.serve_forever, daemon=True).start()
urllib.request.urlopen(f"http://127.0.0.1:{threads.port}/").close()
with open("path", "w") as path:
    code = "import os; print(os.environ.get('PYTHONPATH', ''))"
    subprocess.run([sys.executable, "-c", code], stdout=path, check=True)

async def inner(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})

class Inner(uvicorn.Server):
    capture_signals = contextlib.nullcontext
    async def startup(self, sockets=None):
        await super().startup(sockets)
        up.set()

up = asyncio.Event()
own = Inner(uvicorn.Config(inner, port=0, lifespan="on"))

def load():
    with open("load") as load:
        load.read()

async def app(scope, receive, send):
    assert (await receive())["type"] == "lifespan.startup"
    serving = asyncio.ensure_future(own.serve())
    await up.wait()
    await asyncio.to_thread(load)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    own.should_exit = True
    await serving
    await send({"type": "lifespan.shutdown.complete"})
"""
"""An app with two servers of its own; it begins until the test says so."""


def test_an_app_with_servers_of_its_own(start, tmp_path):
    """READY is when uvicorn serves the app, and not while that begins."""
    os.mkfifo(tmp_path / "load")
    (tmp_path / "shop.py").write_text(WITH_SERVERS)
    app = run(start, tmp_path, sys.executable, "-m", "uvicorn", "--port", "{port}", "shop:app")

    with open(tmp_path / "load", "w"):  # once the app reads it
        assert app.status()["workers"] == []
        assert app.status()["state"] == "starting"
        assert "instrumentation" not in (tmp_path / "path").read_text()

    app.wait_state("ready")
    assert [each["server"] for each in app.status()["workers"]] == ["uvicorn"]
    app.stop(0)


def kept(port: int) -> http.client.HTTPConnection:
    """Return a connection that was answered, and is kept."""
    made = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    assert again(made) is None
    return made


def again(connection: http.client.HTTPConnection, path: str = "/") -> str | None:
    """Ask on it, and return the response's Connection."""
    connection.request("GET", path)
    response = connection.getresponse()
    assert response.read() == b"hello"
    return response.getheader("Connection")


def events(port: int) -> bytes:
    """Follow a stream of events to its end."""
    made = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    made.request("GET", "/events", headers={"Accept": "text/event-stream"})
    try:
        return made.getresponse().read()
    finally:
        made.close()


@pytest.mark.parametrize("ws", ["websockets", "websockets-sansio", "wsproto"])
@pytest.mark.parametrize("web", ["h11", "httptools"])
def test_a_drain(start, tmp_path, ws, web):
    """Close from T0 on; at settle what is idle is closed, 1001 is said, and streams are ended."""
    (tmp_path / "web.py").write_text(WEB)
    words = ["-m", "uvicorn", "--port", "{port}", "--http", web, "--ws", ws, "web:app"]
    settings = {"LIFECYCLE_SETTLE": "1", "LIFECYCLE_GRACE_PERIOD": "20"}
    app = run(start, tmp_path, sys.executable, *words, **settings)
    app.wait_state("ready")
    used, idle = kept(app.port), kept(app.port)
    fresh = socket.create_connection(("127.0.0.1", app.port))
    stream = background(lambda: events(app.port))
    slow = background(lambda: ask(app.port, "/slow"))
    with connect(f"ws://127.0.0.1:{app.port}/") as talk:
        talk.send("a")
        assert talk.recv(5) == "a"
        wait_for(lambda: app.status()["in_flight"] == 3, 10, "three in flight")

        app.signal(signal.SIGTERM)
        app.wait_state("draining")

        assert again(used) == "close"
        with pytest.raises(ConnectionClosed) as closed:
            talk.recv(10)
    assert closed.value.rcvd.code == 1001
    idle.sock.settimeout(10)
    assert idle.sock.recv(1) == b""
    assert stream.result(10).startswith(b"data: 1")
    assert slow.result(10) == (200, "hello")
    for each in (used, idle, fresh):
        each.close()
    assert app.wait() == 0, app.stderr
    assert "Traceback" not in app.stderr, app.stderr
    assert "app saw 1001" in app.stdout
    assert app.events("drain report")[0]["code"] == 0


TWO = """
import asyncio, sys, threading, uvicorn

async def app(scope, receive, send):
    if scope["path"] == "/slow":
        await asyncio.sleep(2)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})

def serve(port):
    config = uvicorn.Config(app, port=int(port), lifespan="off", log_level="error")
    uvicorn.Server(config).run()

threading.Thread(target=serve, args=sys.argv[2:], daemon=True).start()
serve(sys.argv[1])
"""


def test_a_server_in_a_thread_beside_the_main_one(start, tmp_path):
    """What it has in flight as the drain begins is waited for as well, though its loop is another."""
    (tmp_path / "two.py").write_text(TWO)
    admin = free_port()
    app = run(start, tmp_path, sys.executable, "two.py", "{port}", str(admin))
    app.wait_state("ready")
    for port in (app.port, admin):
        wait_for(lambda port=port: answers(port), 10, "both servers")
    slow = [background(lambda port=port: ask(port, "/slow")) for port in (app.port, admin)]
    wait_for(lambda: app.status()["in_flight"] == 2, 5, "both in flight")

    app.signal(signal.SIGTERM)

    assert app.wait() == 0, app.stderr
    assert [each.result(1)[0] for each in slow] == [200, 200]


def answers(port: int) -> bool:
    try:
        return ask(port)[0] == 200
    except OSError:
        return False


def test_recycled_workers(start, tmp_path):
    """Two workers that end every few requests, spawned anew: no count is left of them."""
    (tmp_path / "web.py").write_text(WEB)
    words = ["-m", "uvicorn", "--port", "{port}", "--workers", "2", "--limit-max-requests", "20"]
    # uvicorn's parent sees to no signal while it waits for the word of a worker that has just
    # ended: 5 s for each of them, one after the other.
    settings = {"LIFECYCLE_STOP_TIMEOUT": "25", "LIFECYCLE_GRACE_PERIOD": "40"}
    words.append("web:app")
    app = run(start, tmp_path, sys.executable, *words, **settings)
    app.wait_state("ready")

    answers = 0
    while answers < 60:
        try:
            answers += ask(app.port) == (200, "hello")
        except (OSError, http.client.HTTPException):
            continue  # a worker that ends itself cuts off who was waiting

    wait_for(lambda: app.status()["in_flight"] == 0, 10, "nothing in flight")
    app.stop(0)
    assert "lifecycle:" not in app.stderr


def test_a_changed_file_is_served(start, tmp_path):
    """On a laptop, with `--reload`: the new answer comes, and Ctrl-C ends it all."""
    (tmp_path / "web.py").write_text(WEB)
    words = [sys.executable, "-m", "uvicorn", "--port", "{port}", "--reload", "web:app"]
    app = run(start, tmp_path, *words, options=("--local",), tty=True)
    wait_for(lambda: answer(app.port) == "hello", 30, "the first answer")

    saved = [0.0]

    def save_and_ask() -> bool:
        if time.monotonic() > saved[0] + 5:  # again: its first look may only have come after it
            (tmp_path / "web.py").write_text(WEB.replace('b"hello"', 'b"world"'))
            saved[0] = time.monotonic()
        return answer(app.port) == "world"

    wait_for(save_and_ask, 30, "the new answer")
    family = [each.pid for each in descendants(app.pid)]
    os.write(app.terminal, b"\x03")
    assert app.wait() == 0, app.stderr
    assert not [pid for pid in family if look_at(pid)]
    assert "Traceback" not in app.stderr, app.stderr


def answer(port: int) -> str:
    """Return the answer; nothing while nobody is there."""
    try:
        return ask(port)[1]
    except (OSError, http.client.HTTPException):
        return ""


def test_as_a_worker_of_gunicorn(start, tmp_path):
    """Its two workers have their slots, and their successors after a reload; and they are drained."""
    gunicorn = ("-m", "gunicorn", "-k", "uvicorn_worker.UvicornWorker", "-w", "2", "--keep-alive")
    words = ("60", "-b", "127.0.0.1:{port}", "--no-control-socket", "shop:app")
    app = serve(start, tmp_path, sys.executable, *gunicorn, *words)
    first = wait_for(lambda: two_workers(app), 10, "both")

    app.signal(signal.SIGHUP)

    wait_for(lambda: two_workers(app, besides=first), 20, "their successors")
    assert_drains(app)


def two_workers(app, besides=frozenset()):
    """Return the workers that tell of themselves, if they are two of uvicorn, and none of others."""
    workers = app.status()["workers"]
    found = {each["pid"] for each in workers if each["server"] == "uvicorn"}
    return found if len(found) == len(workers) == 2 and not found & besides else set()

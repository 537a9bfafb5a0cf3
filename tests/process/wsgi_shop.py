"""A WSGI app for the tests of servers with threads, and clients that see what becomes of them."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from lifecycle.instrumentation.lifecycle_worker.board import Board, Slot
from tests.process.commands import run
from tests.process.kit import App

SHOP = """
import os, time

def app(environ, start_response):
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    path, headers = environ["PATH_INFO"], [("Content-Type", "text/plain")]
    if path == "/slow": time.sleep(1.5)
    if path == "/spin":
        end = time.monotonic() + 1.5
        while time.monotonic() < end: pass
    if path == "/raise": raise RuntimeError("the app's own")
    if path == "/write":
        write = start_response("200 OK", headers)
        for _ in range(3):
            write(b"x" * 10)
        return []
    if path in ("/pieces", "/breaks", "/endless"):
        start_response("200 OK", headers)
        return pieces(path)
    if path == "/events":
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return events()
    body = str(os.getpid()).encode()
    start_response("200 OK", [*headers, ("Content-Length", str(len(body)))])
    return [body]

def pieces(path):
    for index in range(10_000 if path == "/endless" else 3):
        yield b"x" * (100_000 if path == "/endless" else 10)
        if path == "/breaks" and index == 1: raise RuntimeError("the app's own")
        time.sleep(0.1)

def events():
    while True:
        yield b"data: 1\\n\\n"
        time.sleep(0.1)
"""
GUNICORN = (
    *("-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--keep-alive", "60"),
    *("--no-control-socket", "--log-level", "warning", "shop:app"),
)


def serve(start: Callable[..., App], folder: Path, *words: str, **env: str) -> App:
    """Serve SHOP by `python WORDS` under `lifecycle run`, and return once it is READY."""
    (folder / "shop.py").write_text(SHOP)
    app = run(start, folder, sys.executable, *words, PYTHONPATH=str(folder), **env)
    app.wait_state("ready")
    return app


@contextlib.contextmanager
def board(app: App) -> Iterator[Board]:
    """Look at the board of an app."""
    (path,) = Path("/dev/shm").glob(f"lifecycle-{app.pid}-*.board")
    found = Board(str(path))
    try:
        yield found
    finally:
        found.close()


def in_flight(slots: Iterator[Slot]) -> int:
    """Return how many requests all workers have under way."""
    return sum(slot.in_flight for slot in slots)


class Client:
    """One connection, kept for as long as the server keeps it."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._http.connect()
        # As of a client that does not close its side: what is closed, the server has closed.
        self.socket: socket.socket = self._http.sock.dup()

    def send(self, path: str, **headers: str) -> http.client.HTTPResponse:
        """Ask, and return the answer once its header is there."""
        self._http.request("GET", path, headers={"User-Agent": "test/1", **headers})
        return self._http.getresponse()

    def ask(self, path: str = "/") -> tuple[int, str, bytes]:
        """Ask, and return the status, what the answer says of the connection, and the body."""
        answer = self.send(path)
        return answer.status, answer.getheader("connection", ""), answer.read()

    def raw(self, text: bytes) -> None:
        """Send a text as it is."""
        self.socket.sendall(text)

    @property
    def open(self) -> bool:
        """True until the server has closed it."""
        self.socket.setblocking(False)
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self.socket.settimeout(10)

    def ends(self) -> bool:
        """Wait, and tell whether the server closes it without another word."""
        return not self.socket.recv(1)

    def close(self) -> None:
        """Go."""
        self._http.close()
        self.socket.close()


def ask_all(port: int, *paths: str) -> int:
    """Ask for each path on a connection of its own, and return how many there were."""
    for path in paths:
        client = Client(port)
        with contextlib.suppress(http.client.HTTPException, OSError):  # some break, as they must
            client.ask(path)
        client.close()
    return len(paths)


def of_now(slots: Iterator[Slot]) -> dict[int, Slot]:
    """Return the slots of the workers that live, by their pids."""
    return {slot.pid: slot for slot in slots if slot.is_alive()}


def moved(folder: Path, package: str, file: str, name: str) -> None:
    """Put a version of a package there of which one name has moved."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    there = folder / package
    shutil.copytree(next(iter(spec.submodule_search_locations)), there)
    source = there / file
    text = source.read_text()
    assert name in text
    source.write_text(text.replace(name, f"{name}_elsewhere"))


def stalls(slot: Slot) -> bool:
    """Tell whether a worker has made no progress for longer than a second."""
    return slot.stalled_for(time.monotonic()) > 1

"""`lifecycle run -- COMMAND` with TLS: who is idle there, and who only looks idle."""

from __future__ import annotations

import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.process.command_drain import SETTLE, TIMES
from tests.process.commands import run
from tests.process.kit import App, wait_for
from tests.process.rollout import SERVED
from tests.process.serving import CERTIFICATE, client_side

GUNICORN = (
    *("-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--keep-alive", "60", "--no-control-socket"),
    *("--certfile", str(CERTIFICATE), "--keyfile", str(CERTIFICATE), "-k"),
)
SERVERS = {
    "gunicorn gthread": (*GUNICORN, "gthread", "--threads", "8", "wsgi_shop:app"),
    "gunicorn gevent": (*GUNICORN, "gevent", "wsgi_shop:app"),
    "gunicorn asgi": (*GUNICORN, "asgi", "shop:app"),
    "gunicorn tornado": (*GUNICORN, "tornado", "tornado_shop:app"),
    "uvicorn": (
        *("-m", "uvicorn", "--port", "{port}", "--timeout-keep-alive", "60"),
        *("--ssl-certfile", str(CERTIFICATE), "--ssl-keyfile", str(CERTIFICATE), "shop:app"),
    ),
    "daphne": (
        *("-m", "daphne", "--endpoint"),
        f"ssl:{{port}}:interface=127.0.0.1:privateKey={CERTIFICATE}:certKey={CERTIFICATE}",
        "shop:app",
    ),
}
REQUEST = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"


class Client:
    """A TLS client that sends its records as it likes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = client_side().wrap_bio(self._incoming, self._outgoing)
        self._until(self._tls.do_handshake)

    def _until(self, step: Callable[[], bytes | None]) -> bytes:
        while True:
            try:
                found = step()
            except ssl.SSLWantReadError:
                self.socket.sendall(self._outgoing.read())
                if not (data := self.socket.recv(65536)):
                    return b""
                self._incoming.write(data)
                continue
            except ssl.SSLError:  # its end
                return b""
            self.socket.sendall(self._outgoing.read())
            return found or b""

    def record(self) -> bytes:
        """Return a request, encrypted."""
        self._tls.write(REQUEST)
        return self._outgoing.read()

    def answer(self) -> bytes:
        """Read an answer; nothing if the connection has ended."""
        found = b""
        while not found.endswith(b"hello") and (more := self._until(lambda: self._tls.read(65536))):
            found += more
        return found

    def ask(self) -> bytes:
        """Ask, and return the answer."""
        self.socket.sendall(self.record())
        return self.answer()

    @property
    def over(self) -> bool:
        """True once the server has ended it, or has said that it is about to."""
        self.socket.setblocking(False)
        try:
            while data := self.socket.recv(65536):
                self._incoming.write(data)
        except BlockingIOError:
            return self._said_goodbye()
        except OSError:
            pass
        finally:
            self.socket.settimeout(10)
        return True

    def _said_goodbye(self) -> bool:
        try:
            return not self._tls.read(1)
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError:
            return True


@pytest.mark.parametrize("server", SERVERS)
def test_who_is_idle(start, tmp_path: Path, server: str) -> None:
    """At settle who waits is closed, but not whose next request has come in part: half a record."""
    settings = {**TIMES, "PYTHONPATH": str(SERVED), "LIFECYCLE_QUIET": "2"}
    app: App = run(start, tmp_path, sys.executable, *SERVERS[server], **settings)
    app.wait_state("ready")
    with ExitStack() as stack:
        idle, half, busy = clients = [Client(app.port) for _ in range(3)]
        for each in clients:
            stack.callback(each.socket.close)
            assert b" 200 " in each.ask()

        at = app.signal(signal.SIGTERM)
        wait_for(lambda: app.status()["state"] == "draining", 5, "T0")
        record = half.record()
        half.socket.sendall(record[: len(record) // 2])
        assert b"connection: close" in busy.ask().lower()

        assert not idle.over
        wait_for(lambda: idle.over, 5, "the end of who is idle")
        assert time.monotonic() > at + SETTLE - 0.1
        time.sleep(0.4)  # what is idle is looked for again and again
        half.socket.sendall(record[len(record) // 2 :])
        answer = half.answer()
        assert b" 200 " in answer, (answer, app.stderr)
        assert b"connection: close" in answer.lower()
    assert app.wait() == 0, app.stderr
    assert "lifecycle: " not in app.stderr
    assert "Traceback" not in app.stderr

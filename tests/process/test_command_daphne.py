"""`lifecycle run -- daphne …`."""

from __future__ import annotations

import os
import signal
import socket
import sys

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.process.command_drain import SETTLE, assert_drains, serve
from tests.process.commands import descendants
from tests.process.kit import wait_for

DAPHNE = ("-m", "daphne", "--bind", "127.0.0.1", "--port", "{port}", "shop:app")


def test_it_is_drained(start, tmp_path):
    """Nothing is lost, and every client is told to go: requests, streams, WebSockets, the idle."""
    app = serve(start, tmp_path, sys.executable, *DAPHNE)
    assert_drains(app)


def test_who_comes_while_it_stops(start, tmp_path):
    """A WebSocket that is open when daphne ends is closed with 1001 all the same."""
    app = serve(start, tmp_path, sys.executable, *DAPHNE)
    with connect(f"ws://127.0.0.1:{app.port}/ws") as talk:
        talk.send("one")
        assert talk.recv(5) == "one"
        app.signal(signal.SIGTERM)
        app.wait_state("draining")

        os.kill(descendants(app.pid)[0].pid, signal.SIGTERM)  # before settle closes it

        with pytest.raises(ConnectionClosed) as closed:
            talk.recv(5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    assert app.wait() == 1  # nobody had told it to end
    assert "Traceback" not in app.stderr, app.stderr


SIZE = 6_000_000
BIG = f"""
async def app(scope, receive, send):
    headers = [(b"content-length", b"{SIZE}")]
    await send({{"type": "http.response.start", "status": 200, "headers": headers}})
    await send({{"type": "http.response.body", "body": b"x" * {SIZE}}})
"""


def test_an_answer_that_its_client_is_slow_to_take(start, tmp_path):
    """The app is done with it, and daphne's stop would cut it off: it is waited for."""
    (tmp_path / "big.py").write_text(BIG)
    words = (*DAPHNE[:-1], "big:app")
    app = serve(start, tmp_path, sys.executable, *words, PYTHONPATH=str(tmp_path))
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.settimeout(10)
        client.connect(("127.0.0.1", app.port))
        client.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        wait_for(lambda: app.status()["in_flight"] == 1, 5, "the answer")

        app.signal(signal.SIGTERM)
        app.wait_state("draining")

        wait_for(
            lambda: app.status()["drain"]["elapsed"] > 2 * SETTLE, 10, "what had been its stop"
        )
        taken = b""
        while piece := client.recv(1 << 20):
            taken += piece
    assert len(taken.partition(b"\r\n\r\n")[2]) == SIZE
    assert app.wait() == 0, app.stderr

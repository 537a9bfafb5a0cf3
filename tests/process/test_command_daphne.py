"""`lifecycle run -- daphne …`."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.process.command_drain import assert_drains, serve
from tests.process.commands import descendants

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

"""`lifecycle run -- daphne …`."""

from __future__ import annotations

import sys

from tests.process.command_drain import assert_drains, serve

DAPHNE = ("-m", "daphne", "--bind", "127.0.0.1", "--port", "{port}", "shop:app")


def test_it_is_drained(start, tmp_path):
    """Nothing is lost, and every client is told to go: requests, streams, WebSockets, the idle."""
    app = serve(start, tmp_path, sys.executable, *DAPHNE)
    assert_drains(app)

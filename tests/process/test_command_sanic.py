"""`lifecycle run -- sanic …`: in a single process, and with workers."""

from __future__ import annotations

import sys

import pytest

from tests.process.command_drain import assert_drains, serve

SANIC = ("-m", "sanic", "sanic_shop:app", "--port", "{port}", "--no-motd", "--no-access-logs")


@pytest.mark.parametrize("how", [("--single-process",), ("--workers", "2")])
def test_it_is_drained(start, tmp_path, how):
    """Nothing is lost, and every client is told to go: requests, streams, WebSockets, the idle."""
    app = serve(start, tmp_path, sys.executable, *SANIC, *how)
    assert_drains(app)

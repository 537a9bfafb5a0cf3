"""`lifecycle run -- sanic …`: in a single process, and with workers."""

from __future__ import annotations

import sys

import pytest

from tests.process.command_drain import (
    assert_drains,
    assert_ends_a_stream_without_pauses,
    serve,
)

SANIC = ("-m", "sanic", "sanic_shop:app", "--port", "{port}", "--no-motd", "--no-access-logs")


@pytest.mark.parametrize("how", [("--single-process",), ("--workers", "2")])
def test_it_is_drained(start, tmp_path, how):
    """Nothing is lost, and every client is told to go: requests, streams, WebSockets, the idle."""
    app = serve(start, tmp_path, sys.executable, *SANIC, *how)
    # Its manager asks a process of its own for the workers' states. Where SIGTERM comes just then
    # its handler asks too, over the same connection, and one gets the other's answer.
    assert_drains(app, codes=(0, 1) if "--workers" in how else (0,))


def test_a_stream_without_pauses_is_ended_between_two_events(start, tmp_path):
    """The app may send its next event before it is cancelled: that must not be an error of it."""
    app = serve(start, tmp_path, sys.executable, *SANIC, "--single-process")
    assert_ends_a_stream_without_pauses(app)

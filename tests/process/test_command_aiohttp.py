"""`lifecycle run -- …` with aiohttp: alone, and as gunicorn's worker."""

from __future__ import annotations

import sys

import pytest

from tests.process.command_drain import (
    assert_drains,
    assert_ends_a_stream_without_pauses,
    serve,
)
from tests.process.rollout import SERVED

GUNICORN = (
    *("-m", "gunicorn", "--worker-class", "aiohttp.GunicornWebWorker", "--workers", "2"),
    *("--bind", "127.0.0.1:{port}", "--no-control-socket", "--keep-alive", "75"),
    "aiohttp_shop:app",
)
COMMANDS = {"run_app": (str(SERVED / "aiohttp_shop.py"),), "gunicorn": GUNICORN}


@pytest.mark.parametrize("how", COMMANDS)
def test_it_is_drained(start, tmp_path, how):
    """Nothing is lost, and every client is told to go: requests, streams, WebSockets, the idle."""
    app = serve(start, tmp_path, sys.executable, *COMMANDS[how])
    assert_drains(app)


def test_a_stream_without_pauses_is_ended_between_two_events(start, tmp_path):
    """The app may send its next event before it is cancelled: that must not be an error of it."""
    app = serve(start, tmp_path, sys.executable, *COMMANDS["run_app"])
    assert_ends_a_stream_without_pauses(app)

"""Monitors keep asking the app's own port: that does not keep a drain from being quiet."""

from __future__ import annotations

import signal
import sys

import pytest

from tests.process.command_drain import assert_drains, serve
from tests.process.commands import run, telltale

KEEP = "75"
SERVERS = {
    "threads": (
        *("gunicorn", "--no-control-socket", "-b", "127.0.0.1:{port}", "--keep-alive", KEEP),
        *("-w", "2", "--threads", "8", "wsgi_shop:app"),
    ),
    "loops": (
        *("uvicorn", "--port", "{port}", "--timeout-keep-alive", KEEP),
        *("--workers", "2", "shop:app"),
    ),
}


@pytest.mark.parametrize("server", SERVERS)
def test_a_watched_server_is_drained(start, tmp_path, server):
    """As one that nobody watches: monitors come in the whole drain, and do not count."""
    app = serve(start, tmp_path, sys.executable, "-m", *SERVERS[server])

    loops = server == "loops"
    assert_drains(app, websocket="/ws" if loops else "", events=loops)


def test_more_monitors_than_the_workers_can_be_told(start, tmp_path):
    """A list that is too long is refused, and not cut off in the middle of a word."""
    app = run(start, tmp_path, "sleep", "60", LIFECYCLE_QUIET_IGNORE="watcher/1.0," * 400)

    assert app.wait() == 2
    assert "Use prefixes that several user agents share." in app.stderr


def test_a_long_list_that_fits(start, tmp_path):
    """One that fits is no trouble."""
    app = telltale(start, tmp_path, LIFECYCLE_QUIET_IGNORE=",".join(f"w{n}" for n in range(400)))
    app.signal(signal.SIGTERM)
    assert app.wait() == 0, app.stderr

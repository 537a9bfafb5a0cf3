"""Whole processes: what is left of them on the server, whatever ends or stops them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from typing import TYPE_CHECKING

import pytest

from plugins.redis.tests.server import RedisServer

if TYPE_CHECKING:
    from tests.process.kit import App

KEY = "lifecycle:shop:orders:orders-1/orders"
SOURCE = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def app(server: RedisServer, tmp_path: Path) -> Iterator[App]:
    """One that is ready."""
    from tests.process.kit import QUICK, App, serve_asgi  # here: its assertions are rewritten

    settings = {
        "LIFECYCLE_REDIS_URL": server.url,
        "LIFECYCLE_REDIS_TTL": "5",
        "POD_NAME": "orders-1",
        "POD_NAMESPACE": "shop",
    }
    words = ("--service", "orders")
    with serve_asgi(App.start, tmp_path, SOURCE, *words, **QUICK, **settings) as app:
        app.wait_state("ready")
        yield app


def test_a_process_that_is_killed_is_gone_within_the_ttl(app: App, server: RedisServer) -> None:
    """SIGKILL: the key has at most the TTL left, and then it is gone."""
    from tests.process.kit import wait_for

    os.kill(app.pid, SIGKILL)
    app.wait()
    assert 0 < server.do("PTTL", KEY) <= 5000
    wait_for(lambda: not server.entries(), 6, "the entry is gone")


def test_a_process_that_ends_leaves_nothing(app: App, server: RedisServer) -> None:
    """SIGTERM: the entry goes in the drain, and the process exits with 0."""
    app.signal(SIGTERM)
    assert app.wait() == 0, app.stderr
    assert server.do("KEYS", "*") == []
    assert "Task was destroyed" not in app.stderr
    assert "never awaited" not in app.stderr


def test_a_process_that_was_stopped_past_the_ttl_registers_again(
    app: App, server: RedisServer
) -> None:
    """SIGSTOP until the entry has expired: after SIGCONT, it is back."""
    from tests.process.kit import wait_for

    os.kill(app.pid, SIGSTOP)
    wait_for(lambda: not server.entries(), 8, "the entry has expired")
    os.kill(app.pid, SIGCONT)
    wait_for(lambda: bool(server.entries()), 4, "the entry is back")
    wait_for(lambda: "is gone" in app.stderr, 4, "the loss is in the log")


def test_an_entry_that_was_taken_during_a_stop_stays(app: App, server: RedisServer) -> None:
    """SIGSTOP, and another process has the entry now: it is neither replaced nor removed."""
    from tests.process.kit import wait_for

    os.kill(app.pid, SIGSTOP)
    server.do("SET", KEY, '{"owner":"another","host":"10.9.9.9","port":1}')
    os.kill(app.pid, SIGCONT)
    wait_for(lambda: "taken: " in app.stderr, 10, "it says why")
    app.signal(SIGTERM)
    assert app.wait() == 0, app.stderr
    assert server.entries()[KEY]["owner"] == "another"

"""Whole processes: what is left of them on the server, whatever ends or stops them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from typing import TYPE_CHECKING

import pytest

from plugins.zookeeper.tests.conftest import PATH
from tests.registries.zookeeper import ZooKeeper

if TYPE_CHECKING:
    from tests.process.kit import App

SOURCE = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})
"""


@pytest.fixture
def app(server: ZooKeeper, tmp_path: Path) -> Iterator[App]:
    """One that is ready."""
    from tests.process.kit import QUICK, App, serve_asgi  # here: its assertions are rewritten

    settings = {
        "LIFECYCLE_ZOOKEEPER_URL": f"zookeeper://127.0.0.1:{server.port}",
        "LIFECYCLE_ZOOKEEPER_SESSION": "4",
        "POD_NAME": "orders-1",
        "POD_NAMESPACE": "shop",
    }
    words = ("--service", "orders")
    with serve_asgi(App.start, tmp_path, SOURCE, *words, **QUICK, **settings) as app:
        app.wait_state("ready")
        yield app


def test_a_process_that_is_killed_is_gone_with_its_session(app: App, server: ZooKeeper) -> None:
    """SIGKILL: the node goes when the session is over, which the server sees each tick."""
    from tests.process.kit import wait_for

    os.kill(app.pid, SIGKILL)
    app.wait()
    assert list(server.entries()) == [PATH]
    wait_for(lambda: not server.entries(), 4 + 2, "the node is gone")


def test_a_process_that_ends_leaves_nothing(app: App, server: ZooKeeper) -> None:
    """SIGTERM: the node goes in the drain, and the process exits with 0."""
    app.signal(SIGTERM)
    assert app.wait() == 0, app.stderr
    assert server.entries() == {}
    assert "Traceback" not in app.stderr
    assert "never awaited" not in app.stderr


def test_a_process_ends_in_time_while_the_server_hangs(app: App, server: ZooKeeper) -> None:
    """No thread of kazoo holds the process up."""
    server.freeze()
    app.signal(SIGTERM)
    code = app.wait()
    server.thaw()
    assert code == 0, app.stderr
    assert "Traceback" not in app.stderr


def test_a_process_that_was_stopped_past_its_session_registers_again(
    app: App, server: ZooKeeper
) -> None:
    """SIGSTOP until the session is over: after SIGCONT, the node is back in a new session."""
    from tests.process.kit import wait_for

    before = server.entries()[PATH].owner
    os.kill(app.pid, SIGSTOP)
    wait_for(lambda: not server.entries(), 8, "the session is over")
    os.kill(app.pid, SIGCONT)
    wait_for(lambda: bool(server.entries()), 4, "the node is back")
    assert server.entries()[PATH].owner != before
    wait_for(lambda: "the session was over" in app.stderr, 4, "the loss is in the log")


def test_a_node_that_was_taken_during_a_stop_stays(app: App, server: ZooKeeper) -> None:
    """SIGSTOP, and another process has the node now: it is neither replaced nor removed."""
    from tests.process.kit import wait_for

    os.kill(app.pid, SIGSTOP)
    server.take(PATH, '{"host":"10.9.9.9","port":1}')
    other = server.entries()[PATH]
    os.kill(app.pid, SIGCONT)
    wait_for(lambda: "taken: " in app.stderr, 10, "it says why")
    app.signal(SIGTERM)
    assert app.wait() == 0, app.stderr
    assert server.entries()[PATH] == other

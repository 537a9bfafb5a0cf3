"""`lifecycle run -- granian …`: its own interface, and the ways in which its workers start."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from lifecycle.instrumentation.lifecycle_worker.board import Board, Slot
from lifecycle.process.command.processes import look_at
from tests.process.command_drain import assert_drains, serve
from tests.process.commands import descendants, run
from tests.process.kit import App, ask, wait_for
from tests.process.wsgi_shop import SHOP, board, of_now

STARTED_BY = """
import multiprocessing, sys
from granian.cli import entrypoint
if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv.pop(1))
    entrypoint()
"""
RSGI = """
import os
async def app(scope, proto):
    proto.response_str(200, [], str(os.getpid()))
"""
ASGI = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
"""
NO_CODE = 1005


def test_rsgi_is_drained(start, tmp_path):
    """Nothing is lost; WebSockets are closed, by RSGI without a code, and event streams end."""
    words = ("-m", "granian", "--interface", "rsgi", "--access-log", "--port", "{port}")
    app = serve(start, tmp_path, sys.executable, *words, "rsgi_shop:app")
    (worker,) = app.status()["workers"]
    assert worker["server"] == "granian rsgi"

    assert_drains(app, idle=False, goodbye=NO_CODE)


@pytest.mark.parametrize("interface", ["wsgi", "rsgi"])
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_that_are_not_forked(start, tmp_path, method, interface):
    """However its workers start, each has its slot; and its successor has one, after a crash."""
    (tmp_path / "started_by.py").write_text(STARTED_BY)
    (tmp_path / "shop.py").write_text(SHOP if interface == "wsgi" else RSGI)
    words = ("started_by.py", method, "--interface", interface, "--workers", "2")
    more = ("--respawn-failed-workers", "--port", "{port}", "shop:app")
    app = run(start, tmp_path, sys.executable, *words, *more, PYTHONPATH=str(tmp_path))
    app.wait_state("ready")
    with board(app) as seen:
        first = wait_for(lambda: _two(seen), 20, "both workers")
        asked = {int(ask(app.port)[1]) for _ in range(20)}
        assert asked <= set(first)
        os.kill(max(first), signal.SIGKILL)
        second = wait_for(lambda: _two(seen, without=max(first)), 20, "its successor")
        assert {each.server for each in second.values()} == {f"granian {interface}"}
    app.stop(0)


def _two(seen: Board, without: int = 0) -> dict[int, Slot] | None:
    """Two workers that serve. One that has just claimed its slot has no server yet."""
    found = of_now(seen.slots())
    serving = len(found) == 2 and all(each.server for each in found.values())
    return found if serving and without not in found else None


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_it_is_told_while_its_workers_start(start, tmp_path, how):
    """A signal that a worker cannot take yet is not lost: nobody waits for that worker for ever."""
    (tmp_path / "shop.py").write_text(ASGI)
    words = ("-m", "granian", "--interface", "asgi", "--workers", "2", "--port", "{port}")
    for _ in range(3):
        app = run(start, tmp_path, sys.executable, *words, "shop:app", LIFECYCLE_GRACE_PERIOD="20")
        pids = wait_for(lambda app=app: len(found := family(app)) == 3 and found, 10, "two workers")

        app.signal(how)

        app.wait(10)  # of the 20 s of its grace period
        wait_for(lambda pids=pids: not any(map(look_at, pids)), 10, "everybody's end")


def family(app: App) -> list[int]:
    return [each.pid for each in descendants(app.pid)]

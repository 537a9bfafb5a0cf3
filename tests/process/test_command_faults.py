"""`lifecycle run -- COMMAND` with real servers that go wrong: what is left, and what is lost."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lifecycle.process.command.processes import look_at
from tests.process.commands import descendants, run
from tests.process.kit import ask, background, wait_for

WEB = """
import os, time

def wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/slow": time.sleep(1.5)
    if environ["PATH_INFO"] == "/hang": time.sleep(120)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]

async def asgi(scope, receive, send):
    import asyncio
    if scope["path"] == "/slow": await asyncio.sleep(1.5)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""
GUNICORN = """
import os, signal
workers, threads, control_socket_disable = 2, 4, True
def post_worker_init(worker):
    if os.path.exists("crash"): os.kill(os.getpid(), signal.SIGKILL)
"""
SERVERS = {
    "gunicorn": ["gunicorn", "-c", "conf.py", "-b", "127.0.0.1:{port}", "web:wsgi"],
    "uvicorn": ["uvicorn", "--port", "{port}", "--workers", "2", "--lifespan", "off", "web:asgi"],
}
CRASHING = 4.0
"""Seconds that workers die at once: hundreds of them."""


def serve(start, folder: Path, server: str, *more: str, **env: str):
    (folder / "web.py").write_text(WEB)
    (folder / "conf.py").write_text(GUNICORN)
    words = [sys.executable, "-m", *SERVERS[server], *more]
    app = run(start, folder, *words, **{"LIFECYCLE_GRACE_PERIOD": "15"} | env)
    app.wait_state("ready")
    return app


def family(app) -> list[int]:
    return [each.pid for each in descendants(app.pid)]


def gone(pids: list[int]) -> bool:
    return not [pid for pid in pids if look_at(pid)]


def boards(app) -> list[str]:
    return [each for each in os.listdir("/dev/shm") if f"lifecycle-{app.pid}-" in each]


def size(app) -> tuple[int, int]:
    """Descriptors, and kilobytes of memory of its own."""
    status = Path(f"/proc/{app.pid}/status").read_text()
    own = int(status.partition("RssAnon:")[2].split()[0])
    return len(os.listdir(f"/proc/{app.pid}/fd")), own


def zombies(app) -> list[int]:
    states = {each.pid: Path(f"/proc/{each.pid}/stat") for each in descendants(app.pid)}
    return [pid for pid, stat in states.items() if ") Z " in _read(stat)]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


@contextmanager
def load(port: int) -> Iterator[tuple[list[int], list[str]]]:
    """Ask by eight clients, with a connection for each request; yields who answered, and what failed."""
    over, answers, failed = threading.Event(), [], []

    def client() -> None:
        while not over.is_set():
            try:
                status, body = ask(port)
                answers.append(int(body))
                if status != 200:
                    failed.append(str(status))
            except (OSError, ValueError) as error:
                failed.append(repr(error))
            over.wait(0.01)

    clients = [threading.Thread(target=client) for _ in range(8)]
    for each in clients:
        each.start()
    try:
        yield answers, failed
    finally:
        over.set()
        for each in clients:
            each.join(15)


@pytest.mark.parametrize("server", SERVERS)
def test_a_killed_worker_is_replaced(start, tmp_path, server):
    """`kill -9` of a worker in flight: the others serve, another comes, and the drain ends well."""
    app = serve(start, tmp_path, server, LIFECYCLE_SETTLE="0.3", LIFECYCLE_QUIET="0.2")
    lost = background(lambda: ask(app.port, "/slow"))
    time.sleep(0.3)
    victim = int(ask(app.port)[1])
    os.kill(victim, signal.SIGKILL)

    def others() -> bool:
        try:
            return int(ask(app.port)[1]) != victim
        except OSError:  # it waited in the dead one's hands
            return False

    wait_for(others, 10, "another worker")
    assert app.get("/live")[0] == 200
    wait_for(lambda: app.get("/ready")[0] == 200, 10, "ready")
    wait_for(lambda: gone([victim]), 10, "its end")
    lost.exception(10)
    late = background(lambda: ask(app.port, "/slow"))
    time.sleep(0.3)
    app.signal(signal.SIGTERM)
    left = family(app)
    assert app.wait() == 0, app.stderr
    assert late.result(1)[0] == 200
    assert app.events("drain report")[0]["code"] == 0
    assert gone(left)
    assert not boards(app)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("who", ["master", "parent"])
def test_a_killed_master_or_parent_leaves_nothing(start, tmp_path, server, who):
    """`kill -9` of the master ends it all, with its code; that of the parent, by the kernel's word."""
    app = serve(start, tmp_path, server)
    everybody = wait_for(lambda: len(found := family(app)) >= 3 and found, 10, "the workers")
    [master] = [each.pid for each in descendants(app.pid) if each.parent == app.pid]

    os.kill(master if who == "master" else app.pid, signal.SIGKILL)

    assert app.wait() == (137 if who == "master" else -signal.SIGKILL)
    wait_for(lambda: gone(everybody), 10, "everybody's end")
    if who == "master":
        assert not boards(app)
        assert "died of SIGKILL" in app.stderr
        assert "Traceback" not in app.stderr, app.stderr


def test_recycling_while_a_drain_begins(start, tmp_path):
    """A worker that ends every 50 requests, under load, before T0 and after it: nothing is lost."""
    app = serve(
        start,
        tmp_path,
        "gunicorn",
        "--max-requests",
        "50",
        LIFECYCLE_SETTLE="3",
        LIFECYCLE_QUIET="0.3",
    )
    before = size(app)
    with load(app.port) as (answers, failed):
        wait_for(lambda: len(set(answers)) > 6, 30, "six workers")
        app.signal(signal.SIGTERM)
        known = len(set(answers))
        wait_for(lambda: len(set(answers)) > known + 1, 20, "workers of after T0")
        assert size(app)[0] <= before[0] + 8
    left = family(app)
    assert app.wait() == 0, app.stderr
    assert not failed
    assert gone(left)
    assert not boards(app)
    assert "waited_for" not in app.events("drain report")[0]


def test_a_crash_loop_costs_nothing(start, tmp_path):
    """Workers that die at once: no slot, descriptor or zombie is left, and memory does not grow."""
    app = serve(start, tmp_path, "gunicorn")
    fds, memory = size(app)
    (tmp_path / "crash").touch()
    for pid in {int(ask(app.port)[1]) for _ in range(10)}:
        os.kill(pid, signal.SIGKILL)
    time.sleep(CRASHING)
    assert app.get("/live")[0] == 200
    crowd = app.status()
    assert len(crowd.get("workers", [])) <= 3

    (tmp_path / "crash").unlink()

    wait_for(lambda: app.get("/ready")[0] == 200, 10, "ready")
    assert ask(app.port)[0] == 200
    wait_for(lambda: not zombies(app), 10, "the dead ones' reaping")
    wait_for(lambda: size(app)[0] <= fds + 2, 10, "the descriptors")
    assert size(app)[1] < memory + 3000
    left = family(app)
    app.stop(0)
    assert gone(left)
    assert not boards(app)


def test_blocked_workers(start, tmp_path):
    """One worker whose threads hang is no reason to restart the pod; all of them are one."""
    app = serve(
        start,
        tmp_path,
        "gunicorn",
        "--threads",
        "2",
        "--timeout",
        "60",
        LIFECYCLE_LOOP_STALL_LIMIT="1.5",
        LIFECYCLE_READY_STALL_LIMIT="1",
    )
    hung = []

    def hang() -> None:
        hung.append(background(lambda: ask(app.port, "/hang")))

    def said(what: str) -> bool:
        return what in app.get("/live?verbose")[1]

    for _ in range(3):
        hang()  # one of the two has two of them, or more
    wait_for(lambda: said("1 of 2 workers") or said("0 of 2 workers"), 15, "a blocked worker")
    assert app.get("/live")[0] == 200 or said("0 of 2 workers")

    deadline = time.monotonic() + 30
    while not said("0 of 2 workers"):  # whose threads hang goes on accepting
        assert time.monotonic() < deadline
        hang()
        time.sleep(0.2)

    assert app.get("/live")[0] == 503
    assert app.get("/ready")[0] == 503
    left = family(app)
    app.signal(signal.SIGTERM)
    assert app.wait() in {0, 124}, app.stderr
    assert gone(left)
    for each in hung:
        each.exception(10)

"""`lifecycle run -- COMMAND` with real servers that go wrong: what is left, and what is lost."""

from __future__ import annotations

import http.client
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lifecycle.process.command.board_file import sweep
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

if os.path.exists("crash"): os._exit(9)

async def asgi(scope, receive, send):
    import asyncio
    if scope["path"] == "/slow": await asyncio.sleep(1.5)
    if scope["path"] == "/hang": time.sleep(120)
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
    "granian": [
        *("granian", "--port", "{port}", "--workers", "2", "--interface", "asgi", "--no-log"),
        *("--respawn-failed-workers", "web:asgi"),
    ],
}
RESPAWNING = ("gunicorn", "uvicorn")
"""Those that start workers for ever, however soon they die. granian ends after two."""
RECYCLING = {"gunicorn": ("--max-requests", "50"), "uvicorn": ("--limit-max-requests", "50")}
DECIDED = 1.5
"""Seconds from T0 on in which a worker may still end that had been told to before."""
CRASHING = 4.0
"""Seconds that workers die at once: tens or hundreds of them."""
GROWTH = 400
"""Kilobytes that the parent may keep of it: `benchmarks.crash_loop` shows that it is constant."""


def serve(start, folder: Path, server: str, *more: str, **env: str):
    (folder / "web.py").write_text(WEB)
    (folder / "conf.py").write_text(GUNICORN)
    words = [sys.executable, "-m", *SERVERS[server], *more]
    app = run(start, folder, *words, **{"LIFECYCLE_GRACE_PERIOD": "20"} | env)
    app.wait_state("ready")
    return app


def family(app) -> list[int]:
    return [each.pid for each in descendants(app.pid)]


def gone(pids: list[int]) -> bool:
    return not [pid for pid in pids if look_at(pid)]


def files(app) -> list[str]:
    """What is there of it: the board and its pipe, the control socket."""
    boards = [each for each in os.listdir("/dev/shm") if f"lifecycle-{app.pid}-" in each]
    return boards + [each for each in os.listdir(app.cwd) if each.startswith("lifecycle-")]


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
def load(port: int) -> Iterator[tuple[list[int], list[tuple[float, str]]]]:
    """Ask by eight clients, a connection for each request; yields who answered, what failed when."""
    over, answers, failed = threading.Event(), [], []

    def client() -> None:
        while not over.is_set():
            try:
                status, body = ask(port)
                answers.append(int(body))
                if status != 200:
                    failed.append((time.monotonic(), str(status)))
            except (OSError, ValueError, http.client.HTTPException) as error:
                failed.append((time.monotonic(), repr(error)))
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


def others_than(app, victim: int) -> bool:
    try:
        return int(ask(app.port)[1]) != victim
    except (OSError, ValueError):  # it waited in the dead one's hands
        return False


@pytest.mark.parametrize("server", SERVERS)
def test_a_killed_worker_is_replaced(start, tmp_path, server):
    """`kill -9` of a worker in flight: the others serve, another comes, and the drain ends well."""
    app = serve(start, tmp_path, server, LIFECYCLE_SETTLE="0.3", LIFECYCLE_QUIET="0.2")
    wait_for(lambda: len(app.status()["workers"]) == 2, 20, "both workers")
    fds = size(app)[0]
    lost = background(lambda: ask(app.port, "/slow"))
    wait_for(lambda: app.status()["in_flight"], 5, "the request in flight")
    [victim] = [each["pid"] for each in app.status()["workers"] if each["in_flight"]]
    os.kill(victim, signal.SIGKILL)

    wait_for(lambda: others_than(app, victim), 10, "another worker")
    assert app.get("/live")[0] == 200
    wait_for(lambda: app.get("/ready")[0] == 200, 10, "ready")
    wait_for(lambda: gone([victim]), 10, "its end")
    assert lost.exception(10) is not None
    pids = wait_for(lambda: len(found := serving(app)) == 2 and found, 20, "the new worker")
    assert victim not in pids
    assert app.status()["in_flight"] == 0
    wait_for(lambda: size(app)[0] <= fds + 1, 10, "the descriptors")
    late = background(lambda: ask(app.port, "/slow"))
    wait_for(lambda: app.status()["in_flight"], 5, "another request in flight")
    app.signal(signal.SIGTERM)
    left = family(app)
    assert app.wait() == 0, app.stderr
    assert late.result(1)[0] == 200
    assert app.events("drain report")[0]["code"] == 0
    assert gone(left)
    assert not files(app)


def serving(app) -> list[int]:
    return [each["pid"] for each in app.status()["workers"]]


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
        assert "SIGKILL killed " in app.stderr
        assert "lifecycle did not send it." in app.stderr
        assert app.events("drain report")[0]["code"] == 137
        assert "Traceback" not in app.stderr, app.stderr
    else:
        sweep("/dev/shm")  # as the next one that starts does
        os.unlink(tmp_path / f"lifecycle-{app.qos}.sock")  # which it would make its own
    assert not files(app)


@pytest.mark.parametrize("server", RECYCLING)
def test_recycling_while_a_drain_begins(start, tmp_path, server):
    """A worker ends every 50 requests: none is lost; uvicorn's lose some, so from T0 on they stay."""
    app = serve(
        start,
        tmp_path,
        server,
        *RECYCLING[server],
        LIFECYCLE_SETTLE="3",
        LIFECYCLE_QUIET="0.3",
        LIFECYCLE_STOP_TIMEOUT="12",  # uvicorn's parent waits for the word of who has just ended
        LIFECYCLE_GRACE_PERIOD="30",
    )
    before = size(app)
    with load(app.port) as (answers, failed):
        wait_for(lambda: len(set(answers)) > 3, 30, "two more workers")
        t0 = app.signal(signal.SIGTERM)
        known, answered = len(set(answers)), len(answers)
        wait_for(lambda: len(answers) > answered + 200, 20, "what would be four workers more")
        later = len(set(answers)) - known
        assert size(app)[0] <= before[0] + 8
    left = family(app)
    assert app.wait() == 0, app.stderr
    if server == "gunicorn":
        assert later > 1
        assert not failed
    else:
        assert later <= 2
        assert not [each for each in failed if each[0] > t0 + DECIDED]
    assert gone(left)
    assert not files(app)
    assert "waited_for" not in app.events("drain report")[0]


@pytest.mark.parametrize("server", RESPAWNING)
def test_a_crash_loop_costs_nothing(start, tmp_path, server):
    """Workers that die at once: no slot, descriptor or zombie is left, and memory does not grow."""
    app = serve(start, tmp_path, server)
    wait_for(lambda: len(serving(app)) == 2, 20, "both workers")
    fds, memory = size(app)
    (tmp_path / "crash").touch()
    for pid in serving(app):
        os.kill(pid, signal.SIGKILL)
    time.sleep(CRASHING)
    assert app.get("/live")[0] == 200
    assert len(serving(app)) <= 3

    (tmp_path / "crash").unlink()

    wait_for(lambda: len(serving(app)) == 2, 20, "both workers")
    wait_for(lambda: app.get("/ready")[0] == 200, 10, "ready")
    assert ask(app.port)[0] == 200
    wait_for(lambda: not zombies(app), 10, "the dead ones' reaping")
    wait_for(lambda: size(app)[0] <= fds + 1, 10, "the descriptors")
    assert size(app)[1] < memory + GROWTH
    left = family(app)
    app.stop(0)
    assert gone(left)
    assert not files(app)


def test_a_crash_loop_that_its_server_ends(start, tmp_path):
    """granian gives up after two crashes: its exit code, and a sentence; nothing is left."""
    app = serve(start, tmp_path, "granian")
    wait_for(lambda: len(serving(app)) == 2, 20, "both workers")
    left = family(app)
    (tmp_path / "crash").touch()
    os.kill(serving(app)[0], signal.SIGKILL)

    assert app.wait() == 1, app.stderr

    assert "granian ended by itself, with exit code 1." in app.stderr
    assert "Traceback" not in app.stderr, app.stderr
    assert gone(left)
    assert not files(app)


@pytest.mark.parametrize(
    ("server", "options"),
    [("gunicorn", ["--threads", "2", "--timeout", "60"]), ("uvicorn", []), ("granian", [])],
)
def test_blocked_workers(start, tmp_path, server, options):
    """One worker that hangs is no reason to restart the pod; all of them are one."""
    app = serve(
        start,
        tmp_path,
        server,
        *options,
        LIFECYCLE_LOOP_STALL_LIMIT="1.5",
        LIFECYCLE_READY_STALL_LIMIT="1",
        LIFECYCLE_GRACE_PERIOD="8",
    )
    wait_for(lambda: len(serving(app)) == 2, 20, "both workers")
    hung = []

    def hang() -> None:
        hung.append(background(lambda: ask(app.port, "/hang")))

    def said(what: str) -> bool:
        return what in app.get("/live?verbose")[1]

    for _ in range(3 if options else 1):
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
    assert app.wait() == 124, app.stderr
    assert gone(left)
    assert not files(app)
    for each in hung:
        each.exception(10)


def test_work_that_takes_longer_than_there_is_time(start, tmp_path):
    """A server that dies of its stop signal, with a request in flight: cut off is 124, and said."""
    (tmp_path / "web.py").write_text(WEB)
    words = (sys.executable, "-m", "waitress", "--listen", "127.0.0.1:{port}", "web:wsgi")
    app = run(start, tmp_path, *words, LIFECYCLE_SETTLE="0.2", LIFECYCLE_GRACE_PERIOD="7")
    app.wait_state("ready")
    hanging = background(lambda: ask(app.port, "/hang"))
    wait_for(lambda: app.status()["in_flight"] == 1, 5, "the request")

    app.signal(signal.SIGTERM)

    with pytest.raises(OSError):
        hanging.result(15)
    assert app.wait() == 124, app.stderr
    assert "waitress ended with requests in flight: waitress worker" in app.stderr

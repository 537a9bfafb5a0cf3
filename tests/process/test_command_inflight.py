"""`lifecycle run -- COMMAND`: the requests of its workers, by name, age and line."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import sys
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from h2.connection import H2Connection

from tests.process.commands import QUICK, descendants, run
from tests.process.holding import FILES, LOOPS, PLACES, THREADS
from tests.process.kit import App, background, free_port, wait_for

Start = Callable[..., App]

LATE = {"LIFECYCLE_GRACE_PERIOD": "5", "LIFECYCLE_STOP_TIMEOUT": "1"}
"""Two seconds of waiting, and one more for the command."""
SERVERS = THREADS | LOOPS


def serve(start: Start, folder: Path, *words: str, **env: str) -> App:
    """Serve an app whose requests hang."""
    for name, text in FILES.items():
        (folder / name).write_text(text)
    app = run(start, folder, sys.executable, *words, PYTHONPATH=str(folder), **{**LATE, **env})
    app.wait_state("ready")
    return app


def asking(app: App, path: str, agent: str = "test/1") -> Future[object]:
    """Send a request, whose answer never comes."""

    def ask() -> None:
        with suppress(OSError, http.client.HTTPException):
            with closing(http.client.HTTPConnection("127.0.0.1", app.port, timeout=60)) as asked:
                asked.request("GET", f"{path}?token=secret", headers={"User-Agent": agent})
                asked.getresponse().close()

    return background(ask)


def in_flight(app: App, query: str = "") -> dict[str, Any]:
    """Return what `/inflight` answers."""
    status, body, _ = app.get(f"/inflight{query}")
    assert status == 200, body
    assert "secret" not in body
    found: dict[str, Any] = json.loads(body)
    return found


def entries(app: App, name: str, query: str = "?stacks") -> list[dict[str, Any]]:
    """Return the entries of a name."""
    return [each for each in in_flight(app, query)["entries"] if each["name"] == name]


def standing(app: App, name: str, place: str) -> dict[str, Any]:
    """Wait until an entry of a name stands at a place, and return the entry."""
    [entry, *_] = wait_for(
        lambda: [each for each in entries(app, name) if place in each["stack"]],
        10,
        lambda: f"{name} at {place}: {in_flight(app, '?stacks')}",
    )
    return entry  # type: ignore[no-any-return]


@pytest.mark.parametrize("server", THREADS)
def test_a_request_in_a_thread(start: Start, tmp_path: Path, server: str) -> None:
    """Its method and path, its client, its worker and its line; in the report of the drain too."""
    app = serve(start, tmp_path, *THREADS[server])
    asking(app, "/hold/1")
    entry = standing(app, "GET /hold/1", PLACES["fetch"])
    assert_complete(app, entry)

    app.stop(124)
    assert_reported(app, "GET /hold/1", PLACES["fetch"])
    [report] = app.events("drain report")
    assert report["waited_for"] == "1 in flight: GET /hold/1 from test/1"


@pytest.mark.parametrize("server", LOOPS)
def test_a_request_on_a_loop(start: Start, tmp_path: Path, server: str) -> None:
    """By what it awaits; and if another one blocks the loop, both, from a thread of the worker's."""
    app = serve(start, tmp_path, *LOOPS[server], LIFECYCLE_READY_STALL_LIMIT="20")
    asking(app, "/hold/1")
    entry = standing(app, "GET /hold/1", PLACES["await_it"])
    assert_complete(app, entry)

    asking(app, "/block/1")
    entry = standing(app, "GET /block/1", PLACES["fetch"])
    assert entry["stack"][-1] == PLACES["fetch"]
    standing(app, "GET /hold/1", PLACES["await_it"])

    app.stop(124)
    assert_reported(app, "GET /block/1", PLACES["fetch"])


@pytest.mark.parametrize("server", ["uvicorn, two workers", "hypercorn", "tornado"])
def test_the_report_of_a_loop(start: Start, tmp_path: Path, server: str) -> None:
    """By name, age and line, whatever the server does at its stop signal."""
    app = serve(start, tmp_path, *LOOPS[server])
    asking(app, "/hold/1")
    wait_for(lambda: entries(app, "GET /hold/1"), 10, "the request in flight")
    app.stop(124)
    assert_reported(app, "GET /hold/1", PLACES["await_it"])


def assert_complete(app: App, entry: dict[str, Any]) -> None:
    """Check everything but the name of the only entry."""
    found = in_flight(app, "?stacks")
    status = app.status()
    assert status is not None
    assert (entry["agent"], entry["protocol"]) == ("test/1", "http/1.1")
    assert entry["worker"] in {each["pid"] for each in status["workers"]}
    assert 0 <= entry["age"] < 20
    assert len(entry["stack"]) <= 8
    assert found["in_flight"] == 1
    threads = {each["name"] for each in found["threads"] if each["worker"] == entry["worker"]}
    assert "MainThread" in threads


def assert_reported(app: App, name: str, place: str) -> None:
    """Check that the report has a request by name, age and line."""
    [report] = app.events("drain report")
    told = rf"{name} from test/1, after [\d.]+ s, at {re.escape(place)}"
    assert any(re.fullmatch(told, each) for each in report["cut_off"]), report
    assert "secret" not in app.stderr


def test_many_requests_of_several_workers(start: Start, tmp_path: Path) -> None:
    """The oldest of all workers come first, as many as are wanted."""
    app = serve(start, tmp_path, *LOOPS["uvicorn, two workers"])
    wait_for(lambda: len(app.status()["workers"]) == 2, 10, "both workers")
    for number in range(20):
        asking(app, f"/hold/{number}", f"client/{number}")
        wait_for(lambda: in_flight(app)["in_flight"] > number, 10, "it in flight")  # noqa: B023
    found = in_flight(app, "?limit=5")
    assert (found["in_flight"], found["shown"]) == (20, 5)
    ages = [each["age"] for each in found["entries"]]
    assert ages == sorted(ages, reverse=True)
    named = {each["name"] for each in in_flight(app)["entries"]}
    assert named == {f"GET /hold/{number}" for number in range(20)}
    assert len({each["worker"] for each in in_flight(app)["entries"]}) == 2
    text = app.cli("inflight", "--limit", "3").stdout
    assert text.startswith("20 in flight, the oldest 3 are shown\n")


def test_a_websocket(start: Start, tmp_path: Path) -> None:
    """It is one by its name and its protocol."""
    from websockets.sync.client import connect

    app = serve(start, tmp_path, *LOOPS["uvicorn"])
    with connect(f"ws://127.0.0.1:{app.port}/hold/ws"):
        entry = standing(app, "WebSocket /hold/ws", PLACES["await_it"])
        assert entry["protocol"] == "websocket"
    app.stop(124)


def test_http2(start: Start, tmp_path: Path) -> None:
    """Several requests of one connection are one entry each."""
    app = serve(start, tmp_path, *LOOPS["hypercorn"])
    http2 = H2Connection()
    http2.initiate_connection()
    with socket.create_connection(("127.0.0.1", app.port)) as client:
        for number in range(3):
            head = {":method": "GET", ":scheme": "http", ":authority": "a"}
            head[":path"] = f"/hold/{number}?token=secret"
            stream = http2.get_next_available_stream_id()
            http2.send_headers(stream, list(head.items()), end_stream=True)
        client.sendall(http2.data_to_send())
        wait_for(lambda: len(in_flight(app)["entries"]) == 3, 10, "three requests")
        assert {(each["name"], each["protocol"]) for each in in_flight(app)["entries"]} == {
            (f"GET /hold/{number}", "http/2") for number in range(3)
        }
        app.stop(124)


@pytest.mark.parametrize("server", ["gunicorn gthread", "uvicorn"])
@pytest.mark.parametrize("late", [True, False])
def test_late_requests_that_never_end(
    start: Start, tmp_path: Path, server: str, *, late: bool
) -> None:
    """Their clients came late too, so the connections that the workers told are not all of them."""
    app = serve(start, tmp_path, *SERVERS[server], LIFECYCLE_SETTLE="0.5")
    if not late:
        asking(app, "/hold/1")
        wait_for(lambda: entries(app, "GET /hold/1"), 10, "the request in flight")
    app.signal(signal.SIGTERM)
    app.wait_state("draining")
    wait_for(lambda: app.status()["drain"]["elapsed"] > 0.1, 10, "a tenth of a second")
    asking(app, "/short").result(10)
    wait_for(lambda: app.status()["drain"]["arrivals"], 10, "its arrival")
    wait_for(lambda: app.status()["drain"]["elapsed"] > 0.3, 10, "more of the drain")
    if late:
        asking(app, "/hold/2")
        wait_for(lambda: entries(app, "GET /hold/2"), 10, "the late request in flight")
    else:
        asking(app, "/short").result(10)
    assert app.wait(30) == 124, app.stderr
    [report] = app.events("drain report")
    assert sum(report["arrivals"]) == 2, report
    assert report["last_request"] > 0.3
    assert ("last_connection" in report, "connections" in report) == (not late, not late)


@pytest.mark.parametrize("server", ["gunicorn gthread", "uvicorn"])
def test_the_last_to_end(start: Start, tmp_path: Path, server: str) -> None:
    """The report names what the drain has waited for last, without asking anybody."""
    (tmp_path / "briefly.py").write_text(
        "import holds, time, asyncio\n"
        "def wsgi(environ, start_response):\n"
        "    time.sleep(1.5 if environ['PATH_INFO'] == '/export' else 0)\n"
        "    return holds.wsgi(environ, start_response)\n"
        "async def asgi(scope, receive, send):\n"
        "    if scope['type'] == 'http' and scope['path'] == '/export':\n"
        "        await asyncio.sleep(1.5)\n"
        "    await holds.asgi(scope, receive, send)\n"
    )
    words = [each.replace("holds:", "briefly:") for each in SERVERS[server]]
    app = serve(start, tmp_path, *words, LIFECYCLE_GRACE_PERIOD="10")
    asking(app, "/export")
    wait_for(lambda: entries(app, "GET /export"), 10, "the request in flight")
    app.stop(0)
    [report] = app.events("drain report")
    last = report["last_to_end"]
    assert last["name"] == "GET /export from test/1"
    assert 1.0 < last["age"] < 5
    assert "cut_off" not in report


def test_a_worker_that_cannot_answer(start: Start, tmp_path: Path) -> None:
    """It is one entry, and the others answer; probes do not wait for it."""
    app = serve(start, tmp_path, *THREADS["gunicorn sync"][:-1], "-w", "2", "holds:wsgi")
    wait_for(lambda: len(app.status()["workers"]) == 2, 10, "both workers")
    for number in range(2):
        asking(app, f"/hold/{number}")
    wait_for(lambda: in_flight(app)["in_flight"] == 2, 10, "both in flight")
    stopped = in_flight(app)["entries"][0]["worker"]
    os.kill(stopped, signal.SIGSTOP)
    wait_for(lambda: state_of(stopped) == "T", 10, "its stop")
    try:
        named = {each["worker"]: each["name"] for each in in_flight(app)["entries"]}
        assert named.pop(stopped) == "1 request of gunicorn sync"
        assert re.fullmatch(r"GET /hold/\d", *named.values())
        assert app.get("/live")[:2] == (200, "true")
    finally:
        os.kill(stopped, signal.SIGCONT)
    wait_for(
        lambda: (
            {each["name"] for each in in_flight(app)["entries"]} == {"GET /hold/0", "GET /hold/1"}
        ),
        10,
        "its answer again",
    )
    app.stop(124)


def state_of(pid: int) -> str:
    """Return the state of a process, as a letter."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_what_a_worker_forks(start: Start, tmp_path: Path) -> None:
    """A child has no connection to the parent, and no thread of ours."""
    (tmp_path / "forks.py").write_text(
        "import os, signal, threading, holds\n"
        "def wsgi(environ, start_response):\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        if environ['PATH_INFO'] == '/hold': signal.pause()\n"
        "        names = [os.readlink(f'/proc/self/fd/{each}') for each in os.listdir('/proc/self/fd')\n"
        "                 if os.path.lexists(f'/proc/self/fd/{each}')]\n"
        "        held = sum(each.startswith('socket:') for each in names)\n"
        "        tasks = len(os.listdir('/proc/self/task'))\n"
        "        open('told', 'w').write(f'{held} {tasks}')\n"
        "        os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
        "    return holds.wsgi(environ, start_response)\n"
    )
    app = serve(start, tmp_path, *THREADS["gunicorn sync"][:-1], "forks:wsgi")
    [worker] = wait_for(lambda: app.status()["workers"], 10, "the worker")
    in_worker = sockets(worker["pid"])
    asking(app, "/").result(10)
    held, tasks = map(int, (tmp_path / "told").read_text().split())
    # The client's connection is one more, and ours to the parent is one fewer.
    assert held == in_worker
    assert tasks == 1
    app.stop(0)


def sockets(pid: int) -> int:
    """Return how many sockets a process has open."""
    found = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
    return sum(each.startswith("socket:") for each in found)


def test_nothing_is_left(start: Start, tmp_path: Path) -> None:
    """No file, no process; workers that are replaced leave no descriptor in the parent."""
    app = serve(start, tmp_path, *THREADS["gunicorn sync"])
    wait_for(lambda: app.status()["workers"], 10, "the worker")
    in_flight(app, "?stacks")
    before = len(list(Path(f"/proc/{app.pid}/fd").iterdir()))
    for _ in range(5):
        [worker] = wait_for(lambda: app.status()["workers"], 10, "a worker")
        os.kill(worker["pid"], signal.SIGKILL)
        wait_for(
            lambda: [each for each in app.status()["workers"] if each["pid"] != worker["pid"]],  # noqa: B023
            10,
            "its successor",
        )
        in_flight(app, "?stacks")
    wait_for(
        lambda: len(list(Path(f"/proc/{app.pid}/fd").iterdir())) <= before, 10, "its descriptors"
    )
    app.stop(0)
    assert not list(Path("/dev/shm").glob(f"lifecycle-{app.pid}-*"))
    assert descendants(app.pid) == []


def test_strangers_may_not_connect(start: Start, tmp_path: Path) -> None:
    """A process that is no worker is sent away at once."""
    app = serve(start, tmp_path, *THREADS["gunicorn sync"])
    [path] = Path("/dev/shm").glob(f"lifecycle-{app.pid}-*.ask")
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.settimeout(10)
        stranger.connect(str(path))
        assert stranger.recv(1) == b""
    asking(app, "/hold/1")
    wait_for(lambda: entries(app, "GET /hold/1"), 10, "the request in flight")
    app.stop(124)


IN_A_LONG_FOLDER = (
    "import sys; from lifecycle.process.command import board_file; "
    "board_file.FIRST = sys.argv.pop(1); from lifecycle.cli import main; main()"
)


def test_a_socket_that_cannot_be_made(start: Start, tmp_path: Path) -> None:
    """The log says so, and requests in flight are a number."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    folder = tmp_path / ("x" * 80)
    folder.mkdir()
    port = str(free_port())
    words = [each.replace("{port}", port) for each in THREADS["gunicorn sync"]]
    app = start(
        [
            *("-c", IN_A_LONG_FOLDER, str(folder), "run", "--service", f"shop:{port}", "--"),
            *(sys.executable, *words),
        ],
        cwd=tmp_path,
        env={**QUICK, **LATE, "PORT": port, "PYTHONPATH": str(tmp_path)},
    )
    app.wait_state("ready")
    [said] = wait_for(lambda: app.events("workers cannot be asked"), 10, lambda: app.stderr)
    assert said["problem"].startswith(str(folder))
    assert said["problem"].endswith("too long")
    assert said["see"].endswith("#workers-cannot-be-asked")
    asking(app, "/hold/1")
    [entry] = wait_for(lambda: in_flight(app)["entries"], 10, "the request in flight")
    assert entry["name"] == "1 request of gunicorn sync"
    app.stop(124)
    assert list(folder.iterdir()) == []


HOSTILE = "\x1b[2J<script>\t😀\"'\\"


def test_hostile_clients(start: Start, tmp_path: Path) -> None:
    """What they send is bounded, on one line, and does nothing to a terminal."""
    app = serve(start, tmp_path, *THREADS["gunicorn gthread"])
    with socket.create_connection(("127.0.0.1", app.port)) as client:
        path = "/hold/%09%0a%1b[2J" + "x" * 3000
        agent = HOSTILE.encode().replace(b"\x1b", b"") * 40
        client.sendall(
            b"GET %b?s=secret HTTP/1.1\r\nHost: a\r\nUser-Agent: %b\r\n\r\n"
            % (path.encode(), agent)
        )
        [entry] = wait_for(lambda: in_flight(app)["entries"], 10, "the request in flight")
        assert entry["name"].startswith("GET /hold/")
        assert len(json.dumps(entry, ensure_ascii=False).encode()) <= 300
        assert all(str(each).isprintable() for each in entry.values())
        for words in ((), ("--stacks",)):
            assert app.cli("inflight", *words).stdout.replace("\n", "").isprintable()
    app.stop(124)
    assert app.stderr.replace("\n", "").isprintable()

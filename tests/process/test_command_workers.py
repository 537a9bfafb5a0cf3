"""`lifecycle run -- COMMAND`: what workers tell on the board, and what is made of it."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.process.commands import descendants, run
from tests.process.kit import QUICK, ask, background, wait_for

SERVER = """
import asyncio, os, socket, sys, time
from lifecycle_worker.worker import worker

worker.open(os.environ["LIFECYCLE_BOARD"])
worker.expects("fake")
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))

def fork():
    if pid := os.fork():
        return pid
    asyncio.run(serve())
    os._exit(0)

async def serve():
    while not os.path.exists("go"): await asyncio.sleep(0.01)
    loop = asyncio.get_running_loop()
    worker.serves("fake")
    worker.beat_on(loop)
    async def handle(reader, writer):
        path = (await reader.readuntil(b"\\r\\n\\r\\n")).split()[1].decode()
        worker.begin(writer)
        if path == "/slow": await asyncio.sleep(1.5)
        if path == "/crash": os._exit(1)
        if path == "/hang": await asyncio.sleep(60)
        if path == "/block": time.sleep(60)
        if path == "/chatter": worker.begin(1)
        body = f"{os.getpid()} {worker.draining}"
        writer.write(f"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n{body}".encode())
        writer.close()
        worker.end_from(writer, "curl", path)
    await asyncio.start_server(handle, sock=listener)
    await asyncio.sleep(600)

workers = {fork() for _ in range(int(sys.argv[1]))}
import signal
signal.signal(signal.SIGTERM, lambda *_: [os.kill(pid, signal.SIGKILL) for pid in workers] and os._exit(0))
while True:
    pid, _ = os.wait()
    workers.remove(pid)
    workers.add(fork())
"""
"""A server whose workers tell on the board, as the instrumentation of a real one has them do."""


def serve(start, folder: Path, workers: int = 2, *, go: bool = True, **env: str):
    (folder / "server.py").write_text(SERVER)
    if go:
        (folder / "go").touch()
    return run(start, folder, sys.executable, "server.py", str(workers), **env)


def boards() -> set[str]:
    return {each for each in os.listdir("/dev/shm") if each.startswith("lifecycle-")}


def of(app) -> list[str]:
    return [each for each in boards() if f"-{app.pid}-" in each]


def test_an_open_port_is_not_enough(start, tmp_path):
    """READY comes when a worker says that it serves, however long its port has been open."""
    app = serve(start, tmp_path, go=False)
    wait_for(lambda: app.status() and _connects(app.port), 15, "the open port")
    time.sleep(3.5)  # longer than a known server has to say that it was imported
    assert app.status()["state"] == "starting"
    assert app.get("/startup")[0] == 503

    (tmp_path / "go").touch()

    app.wait_state("ready")
    assert app.get("/ready")[0] == 200
    assert not app.events("not instrumented")
    app.stop(0)
    assert not of(app)


def _connects(port: int) -> bool:
    import socket

    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_what_is_in_flight_is_waited_for(start, tmp_path):
    """From T0 on workers know it; the drain is over when the last answer is out, and not before."""
    app = serve(start, tmp_path)
    app.wait_state("ready")
    assert ask(app.port)[1].endswith("False")
    slow = background(lambda: ask(app.port, "/slow"))
    wait_for(lambda: app.status()["in_flight"] == 1, 5, "the request in flight")

    at = app.signal(signal.SIGTERM)
    app.wait_state("draining")
    assert ask(app.port)[1].endswith("True")

    assert app.wait() == 0, app.stderr
    assert slow.result(1)[0] == 200
    assert 1.0 < time.monotonic() - at < 5
    report = app.events("drain report")[0]
    assert "uncounted" not in report
    assert not of(app)


def test_status(start, tmp_path):
    """`/status` and `lifecycle status` list the workers; in flight and served are theirs."""
    app = serve(start, tmp_path)
    app.wait_state("ready")
    wait_for(lambda: len(app.status()["workers"]) == 2, 5, "both workers")
    for _ in range(5):
        ask(app.port)
    slow = background(lambda: ask(app.port, "/slow"))
    wait_for(lambda: app.status()["in_flight"] == 1, 5, "the request in flight")

    workers = app.status()["workers"]

    assert {each["pid"] for each in workers} < {each.pid for each in descendants(app.pid)}
    assert sum(each["served"] for each in workers) == 5
    assert sum(each["in_flight"] for each in workers) == 1
    assert all(each["server"] == "fake" and 0 <= each["stalled"] < 5 for each in workers)
    shown = app.cli("status").stdout

    assert re.search(rf"^fake +{workers[0]['pid']} +\d+ s +\d\.\d s +[01] +\d", shown, re.MULTILINE)
    assert slow.result(10)[0] == 200
    said = app.get("/log-level?level=INFO", method="POST")[1].strip()
    assert said == "OK: root at INFO (not in the command's own log)"
    shown = app.get("/loggers")[1].splitlines()[-1]
    assert shown == "(the loggers of pod-lifecycle, not those of the command)"
    app.stop(0)


@pytest.mark.parametrize("option", [(), ("--instrument", "no")])
def test_no_folder_for_the_board(start, tmp_path, option):
    """Where no folder takes the board, a sentence says what to do; without it, all goes on."""
    script = (
        "import os, sys; from lifecycle.process.command import board_file as it; "
        "it.FIRST = '/no/memory'; sys.argv[0] = 'lifecycle'; import lifecycle.cli as c; c.main()"
    )
    run_dir = tmp_path / "run"
    run_dir.mkdir(mode=0o700)
    words = ["run", *option, "--", "sleep", "70"]
    env = QUICK | {"LIFECYCLE_RUN_DIR": str(run_dir), "LIFECYCLE_QOS_ENABLED": "false"}
    run_dir.rmdir()
    app = start(["-c", script, *words], env=env)

    if option:
        wait_for(lambda: descendants(app.pid), 15, "the command")
        app.stop(143)
    else:
        assert app.wait() == 2
        said = "Cannot create the board of the workers in any folder (/no/memory: No such file or"
        assert said in app.stderr
        assert "LIFECYCLE_RUN_DIR" in app.stderr
        assert "--instrument=no" in app.stderr
        assert "Traceback" not in app.stderr, app.stderr


def test_what_a_dead_worker_had_in_flight_is_no_more(start, tmp_path):
    """A worker that dies gives its slot back, and its successor is counted."""
    app = serve(start, tmp_path, workers=1)
    app.wait_state("ready")
    first = ask(app.port)[1].split()[0]
    wait_for(lambda: app.status()["in_flight"] == 0, 5, "the end of the first request")
    background(lambda: ask(app.port, "/hang"))
    wait_for(lambda: app.status()["in_flight"] == 1, 5, "the request in flight")

    os.kill(int(first), signal.SIGKILL)

    wait_for(lambda: app.status()["in_flight"] == 0, 5, "nothing in flight")
    wait_for(lambda: app.get("/ready")[0] == 200, 5, "its successor")
    assert ask(app.port)[1].split()[0] != first
    app.stop(0)


def test_a_crash_loop_leaves_nothing_behind(start, tmp_path):
    """A hundred workers die: no slot, descriptor or zombie is left of them."""
    app = serve(start, tmp_path, workers=1)
    app.wait_state("ready")
    before = len(os.listdir(f"/proc/{app.pid}/fd"))

    for _ in range(100):
        pid = int(ask(app.port)[1].split()[0])
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda pid=pid: not os.path.exists(f"/proc/{pid}"), 5, "its end")

    ask(app.port)
    wait_for(lambda: len(os.listdir(f"/proc/{app.pid}/fd")) <= before + 1, 5, "the descriptors")
    assert app.get("/ready")[0] == 200
    app.stop(0)


def test_one_blocked_worker_of_two_is_no_reason_to_restart(start, tmp_path):
    """`/live` and `/ready` are false once no worker makes progress, and not before."""
    app = serve(start, tmp_path, LIFECYCLE_LOOP_STALL_LIMIT="1.5", LIFECYCLE_READY_STALL_LIMIT="1")
    app.wait_state("ready")
    background(lambda: ask(app.port, "/block"))
    wait_for(lambda: "1 of 2 workers" in app.get("/live?verbose")[1], 10, "one blocked")
    assert app.get("/live")[0] == 200
    assert app.get("/ready")[0] == 200

    while app.get("/live")[0] == 200:
        background(lambda: ask(app.port, "/block"))
        time.sleep(0.3)

    assert app.get("/ready")[0] == 503
    assert "0 of 2 workers make progress" in app.get("/live?verbose")[1]


@pytest.mark.parametrize("option", ["yes", "no"])
def test_not_instrumented(start, tmp_path, option):
    """Where no worker tells, the open port counts; a warning says so, unless it is meant."""
    app = run(
        start,
        tmp_path,
        sys.executable,
        "-S",
        "-m",
        "http.server",
        "{port}",
        options=("--instrument", option),
    )

    app.wait_state("ready")

    if option == "yes":
        wait_for(lambda: app.events("not instrumented"), 5, "the warning")
    said = app.events("not instrumented")
    assert len(said) == (option == "yes")
    assert all("-I, -E or -S" in each["why"] for each in said)
    assert len(of(app)) == (3 if option == "yes" else 0)
    level = app.get("/log-level?level=INFO", method="POST")[1].strip()
    assert level == "OK: root at INFO (not in the command's own log)"
    app.stop(0)


def test_killed_parents_leave_no_board(start, tmp_path):
    """What a parent that was killed has left in memory is removed by the next one."""
    app = serve(start, tmp_path)
    app.wait_state("ready")
    left = of(app)
    app.process.kill()
    app.wait()
    assert set(left) <= boards()

    second = serve(start, tmp_path)
    second.wait_state("ready")

    assert not set(left) & boards()
    second.stop(0)


@pytest.mark.parametrize("option", ["yes", "no"])
def test_the_lifecycle_in_a_worker(start, tmp_path, option):
    """It is the parent's: an app that asks for it is told so, instrumented or not."""
    words = (sys.executable, "-c", "import lifecycle; lifecycle.current()")
    app = run(start, tmp_path, *words, options=("--instrument", option))

    assert app.wait() == 1
    assert "NotRunning: this process belongs to the command of `lifecycle run" in app.stderr

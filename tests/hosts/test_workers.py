"""A server that forks several workers: the second one is refused, and told the way out."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle.qos.port_holder import holder
from lifecycle.testing import free_port
from tests.hosts.hosts import GRANIAN, GUNICORN, HYPERCORN, UVICORN
from tests.process.kit import App, ask, background, wait_for
from tests.process.wire import connect

MANAGED = {"SHOP": "shop", "HOW": "wrapped", "RECYCLE_TIMEOUT": "0.5"}
TWO = ("--workers", "2")
REFUSAL = (
    r"the QOS port \*:(\d+) is in use\. Another worker of the same server uses the port: "
    r"process (\d+) \("
)


@pytest.mark.parametrize("server", [UVICORN, HYPERCORN, GRANIAN], ids=lambda argv: argv[0])
def test_two_workers_are_one_too_many(start: Callable[..., App], server: tuple[str, ...]) -> None:
    """The second worker names the first and says what to do; the master itself is not accused."""
    app = start("-m", *server, *TWO, **MANAGED)
    said = wait_for(lambda: re.search(REFUSAL, app.stderr + app.stdout), 40, lambda: app.stderr)

    assert int(said[1]) == app.qos
    assert int(said[2]) != app.pid
    assert "Run one worker per pod, and scale with replicas" in app.stderr + app.stdout
    assert "waited 0.5 s" in app.stderr + app.stdout


def test_a_worker_that_is_recycled_is_replaced(start: Callable[..., App]) -> None:
    """granian starts the new one first, at HUP as at the end of its lifetime: it takes over."""
    recycling = {**MANAGED, "RECYCLE_TIMEOUT": "30"}
    app = start("-m", *GRANIAN, "--respawn-interval", "4", **recycling)
    before = app.wait_state("ready")["pid"]
    app.signal(signal.SIGHUP)

    def replaced() -> bool:
        status = app.status()
        return bool(status) and status["pid"] != before and status["state"] == "ready"

    wait_for(replaced, 30, lambda: app.stdout + app.stderr)
    assert "waiting for the QOS port" in app.stdout + app.stderr
    assert app.get("/ready")[0] == 200
    app.signal(signal.SIGTERM)
    assert app.wait(20) == 0


def test_gunicorn_reloads_its_worker(start: Callable[..., App]) -> None:
    """At HUP the new worker waits for the old one's last request; who connects meanwhile waits too."""
    app = start("-m", *GUNICORN, **{**MANAGED, "RECYCLE_TIMEOUT": "30"})
    before = app.wait_state("ready")["pid"]
    with connect(("127.0.0.1", app.port), timeout=20) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n")
        wait_for(lambda: (app.status() or {}).get("in_flight"), 20, "a request in flight")
        app.signal(signal.SIGHUP)
        wait_for(lambda: "waiting for the QOS port" in app.stderr, 30, lambda: app.stderr)
        new = background(lambda: ask(app.port))
        slow.sendall(b"x")
        assert b" 200 " in slow.recv(100)
    assert new.result(10)[0] == 200
    assert app.wait_state("ready")["pid"] != before
    app.signal(signal.SIGTERM)
    assert app.wait(20) == 0


def test_the_first_worker_goes_on(start: Callable[..., App]) -> None:
    """Who has the port is ready, whatever becomes of the others."""
    app = start("-m", *UVICORN, *TWO, **MANAGED)
    wait_for(lambda: re.search(REFUSAL, app.stderr), 40, lambda: app.stderr)

    status = app.wait_state("ready")

    assert status["state"] == "ready"
    app.signal(signal.SIGTERM)
    app.wait(20)


FORKS = """
import os, lifecycle

async def main(life):
    if os.fork() == 0:
        os.execvp("python", ["python", "-c", "import lifecycle; lifecycle.run(lambda: None)"])
    print(os.wait(), flush=True)

lifecycle.run(main)
"""

TWICE = """
import asyncio, lifecycle

async def main():
    async with lifecycle.Lifecycle():
        async with lifecycle.Lifecycle():
            pass

asyncio.run(main())
"""


def _run(source: str, folder: Path, port: int) -> str:
    env = os.environ | {
        "LIFECYCLE_QOS_PORT": str(port),
        "LIFECYCLE_RUN_DIR": str(folder),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", source],
        env=env,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stderr


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (FORKS, "Do not start pod-lifecycle before a server forks its workers."),
        (TWICE, "This process already uses the port. Start pod-lifecycle only once"),
    ],
    ids=["parent", "itself"],
)
def test_whoever_has_it_is_told_apart(
    port: int, tmp_path: Path, source: str, expected: str
) -> None:
    """The parent, or a second lifecycle in one process, is another mistake than a second worker."""
    assert expected in _run(source, tmp_path, port)


def test_a_stranger_is_named(port: int, tmp_path: Path) -> None:
    """Any other process is named with its id and its command."""
    listens = (
        "import socket; s = socket.create_server(('', int(__import__('sys').argv[1]))); "
        "print('up', flush=True); input()"
    )
    argv = ["setsid", sys.executable, "-c", listens, str(port)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stranger:
        try:
            assert stranger.stdout is not None
            stranger.stdout.readline()
            launched = (
                "import subprocess, sys; "
                "sys.exit(subprocess.run([sys.executable, '-c', "
                "'import lifecycle; lifecycle.run(lambda: None)']).returncode)"
            )

            said = _run(launched, tmp_path, port)
        finally:
            stranger.communicate(b"\n", timeout=10)

    assert re.search(rf"uses the port: process {stranger.pid} \(\S*python.*\)\. Stop it", said), (
        said
    )


def test_nobody_is_found_where_nobody_listens(port: int) -> None:
    """A port that is only bound, or free, has no holder to be named."""
    assert holder(port) is None


def test_looking_is_cheap(port: int) -> None:
    """It is looked for once, on the error's path, and never for long."""
    with socket.create_server(("127.0.0.1", port)):
        began = time.monotonic()
        found = holder(port)

    assert found is not None
    assert found.pid == os.getpid()
    assert time.monotonic() - began < 5


@pytest.fixture
def port() -> int:
    return free_port()

"""The command `lifecycle` where nobody takes what it prints, or nothing sensible answers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lifecycle.testing.environment import handed_on
from tests.process.explained import message_of
from tests.process.kit import App, cli, free_port, wait_for

Start = Callable[..., App]

MAIN = """
import lifecycle

def menu():
    return lifecycle.ProbeResult(True, "the caf\\u00e9 is open")

async def main(life):
    life.export("orders", port=8080)
    life.export("billing", port=8081)
    life.readiness(menu)
    await life.ready()
    await life.drained()

lifecycle.run(main)
"""
QUICK = {"LIFECYCLE_SETTLE": "0.1", "LIFECYCLE_QUIET": "0.1"}
SINKS = {
    "full": ">/dev/full",
    "closed": ">&-",
    "deaf": ">/dev/full 2>/dev/full",
    "mute": ">&- 2>&-",
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Run a service, which all these tests leave online."""
    with App.start(MAIN, cwd=tmp_path_factory.mktemp("output"), env=QUICK) as app:
        app.wait_state("ready")
        yield app


def into(app: App, sink: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command with its output led away by the shell."""
    full = {**app.env, "PYTHONUNBUFFERED": "", **env}
    return cli(*words, env=full, cwd=app.cwd, redirected=SINKS.get(sink, sink))


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("sink", SINKS)
def test_a_verdict_that_nobody_reads(app: App, sink: str, unbuffered: str) -> None:
    """The exit code of `probe` is its verdict, whoever takes what it prints."""
    done = into(app, sink, "probe", "ready", PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (0, "")
    done = into(app, sink, "probe", "live", "--port", str(app.qos), PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (0, "")
    nowhere = {"LIFECYCLE_QOS_PORT": str(free_port()), "PYTHONUNBUFFERED": unbuffered}
    assert into(app, sink, "probe", "ready", **nowhere).returncode == 2
    assert into(app, sink, "prestop", **nowhere).returncode == 1


@pytest.mark.parametrize("sink", SINKS)
def test_a_false_verdict_that_nobody_reads(app: App, sink: str) -> None:
    """`offline` and `online` succeed if they did it, and a probe that is false is false."""
    assert into(app, sink, "offline").returncode == 0
    try:
        done = into(app, sink, "probe", "ready")
        assert (done.returncode, done.stderr) == (1, "")
    finally:
        done = into(app, sink, "online")
    assert (done.returncode, done.stderr) == (0, "")
    assert into(app, sink, "offline", "nosuch").returncode == 1
    wait_for(lambda: app.get("/ready")[0] == 200, 10, "ready again")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "words", [("ls",), ("status",), ("status", "--json"), ("status", "--watch"), ("config",)]
)
def test_a_list_that_nobody_reads(app: App, words: tuple[str, ...], unbuffered: str) -> None:
    """What is there to be read fails if it cannot be written: one sentence, exit code 2."""
    done = into(app, "full", *words, PYTHONUNBUFFERED=unbuffered)

    assert done.returncode == 2
    assert message_of(done.stderr) == "lifecycle: stdout: No space left on device"


@pytest.mark.parametrize("words", ["ls", "status", "status --watch", "status --watch --json"])
def test_a_reader_that_has_gone(app: App, words: str) -> None:
    """Who reads no further, like `head`, is told nothing."""
    done = into(app, "| { read line; exec true; }; exit 0", *words.split())

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("target", "code"), [("nosuch:main", 2), ("leaves:main", 1)])
def test_what_is_wrong_is_not_said_on_stdout(tmp_path: Path, target: str, code: int) -> None:
    """With stderr closed it is said nowhere: on stdout a program might read it as the app's own."""
    (tmp_path / "leaves.py").write_text("raise SystemExit('no database')")
    env = {**os.environ, "LIFECYCLE_QOS_PORT": "0", "LIFECYCLE_RUN_DIR": str(tmp_path)}

    done = cli("run", target, env=env, cwd=tmp_path, redirected="2>&-")

    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_characters_that_the_terminal_lacks(app: App) -> None:
    """A reason is shown in what characters there are."""
    try:
        done = into(app, "", "probe", "ready", PYTHONIOENCODING="ascii")
        assert (done.returncode, done.stdout, done.stderr) == (0, "true\n", "")
        assert into(app, "", "offline").returncode == 0
        done = into(app, "", "probe", "ready", PYTHONIOENCODING="ascii")
        assert (done.returncode, done.stderr) == (1, "")
        assert "the caf\\xe9 is open" in done.stdout
    finally:
        into(app, "", "online")


def test_prestop_that_nobody_reads(start: Start, tmp_path: Path) -> None:
    """`prestop` drains with no stream at all."""
    app = start(MAIN, env=QUICK)
    app.wait_state("ready")

    assert into(app, "mute", "prestop").returncode == 0
    app.stop()


@contextmanager
def stranger(path: Path, answer: bytes) -> Iterator[None]:
    """Answer every connection on a socket with the same bytes."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                with sock:
                    sock.settimeout(10)
                    sock.recv(65536)
                    sock.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def http(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (http("404 Not Found", b"<html>\nno such page"), "404 and '<html>'"),
        (http("500 Internal Server Error", b'{"state": "ready"}'), "answered 500"),
        (http("200 OK", b"hello"), "200 and 'hello'"),
        (http("200 OK", b"\xff\xfe\x00"), "not a status"),
        (http("200 OK", b"[1, 2]"), "not a status"),
        (http("200 OK", b'{"state": "ready"}'), "not a status"),
        (http("200 OK", b""), "not a status"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "is not from pod-lifecycle: b'SSH-2.0"),
        (b"", "before it answered"),
    ],
)
@pytest.mark.parametrize("words", [(), ("--json",), ("--watch",), ("--watch", "--json")])
def test_a_stranger_on_the_port(
    tmp_path: Path, answer: bytes, said: str, words: tuple[str, ...]
) -> None:
    """What is no status is one sentence, and 2 as when nobody answers."""
    port = free_port()
    env = handed_on()
    # Config takes the blanks off the folder's name, and so does the command.
    env |= {"LIFECYCLE_RUN_DIR": f" {tmp_path} ", "LIFECYCLE_QOS_PORT": str(port)}
    with stranger(tmp_path / f"lifecycle-{port}.sock", answer):
        done = cli("status", *words, env=env, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("lifecycle: ")
    assert said in message_of(done.stderr)


def test_watch_as_json(start: Start, tmp_path: Path) -> None:
    """`status --watch --json` prints one JSON document a line, and nothing else, to the end."""
    app = start(MAIN, env=QUICK)
    app.wait_state("ready")
    watch = app.beside(start, "status", "--watch", "--json")
    wait_for(lambda: watch.stdout.count("\n") >= 2, 20, lambda: watch.stderr)

    app.signal(signal.SIGTERM)
    assert watch.wait() == 0
    documents = [json.loads(line) for line in watch.stdout.splitlines()]
    assert {"ready"} <= {each["state"] for each in documents}
    assert {each["pid"] for each in documents} == {app.pid}
    assert watch.stderr == "the app has exited\n"

"""Which servers show their late connections, and what `lifecycle tune` reads in their real logs."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.process.command_drain import SERVED
from tests.process.commands import run
from tests.process.kit import App, cli, free_port, handed_on, wait_for
from tests.unit.tune.reports import line

Start = Callable[..., App]

TIMES = {
    "LIFECYCLE_SETTLE": "1.2",
    "LIFECYCLE_QUIET": "0.3",
    "LIFECYCLE_STOP_TIMEOUT": "1",
    "LIFECYCLE_GRACE_PERIOD": "12",
}
APPS = """
async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

async def rsgi(scope, proto):
    proto.response_str(200, [("content-length", "2")], "ok")

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
MANAGED = """
import os
from apps import asgi
from lifecycle.asgi import Managed
app = Managed(asgi, service="shop", port=int(os.environ["PORT"]))
"""
AIOHTTP = """
import os
import lifecycle_aiohttp
from aiohttp import web

async def hello(request):
    return web.Response(text="ok")

async def main(life):
    app = web.Application()
    app.router.add_get("/", hello)
    lifecycle_aiohttp.setup(app, life)
    runner = web.AppRunner(app, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["PORT"])).start()
    life.export("shop", port=int(os.environ["PORT"]))
    await life.ready()
    await life.drained()
    await runner.cleanup()
"""
AS_APP = {
    "run --asgi": "-m lifecycle run --asgi --service shop --bind 127.0.0.1:{port} apps:asgi",
    "run --asgi --server uvicorn": (
        "-m lifecycle run --asgi --server uvicorn --service shop --bind 127.0.0.1:{port} apps:asgi"
    ),
    "lifecycle-aiohttp": "-m lifecycle run aiohttp_main:main",
}
AS_COMMAND = {
    "uvicorn, two workers": "-m uvicorn --workers 2 --port {port} apps:asgi",
    "gunicorn gthread": "-m gunicorn --threads 4 -b 127.0.0.1:{port} apps:wsgi",
    "gunicorn asgi": "-m gunicorn -k asgi -b 127.0.0.1:{port} apps:asgi",
    "hypercorn": "-m hypercorn -b 127.0.0.1:{port} apps:asgi",
    "granian rsgi": "-m granian --interface rsgi --port {port} apps:rsgi",
    "granian rsgi on ::1": "-m granian --interface rsgi --host ::1 --port {port} apps:rsgi",
    "daphne": "-m daphne -p {port} apps:asgi",
    "waitress": "-m waitress --listen 127.0.0.1:{port} apps:wsgi",
    "aiohttp": f"{SERVED / 'aiohttp_shop.py'}",
    "tornado": f"{SERVED / 'tornado_shop.py'}",
    "sanic": "-m sanic sanic_shop:app --port {port} --no-motd --no-access-logs",
}


@pytest.fixture
def serve(start: Start, tmp_path: Path) -> Callable[[str], App]:
    """Serve with one of the servers, READY."""
    for name, source in (("apps", APPS), ("managed", MANAGED), ("aiohttp_main", AIOHTTP)):
        (tmp_path / f"{name}.py").write_text(source)
    env = TIMES | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(SERVED)])}

    def serve(how: str) -> App:
        if how in AS_COMMAND:
            app = run(start, tmp_path, sys.executable, *AS_COMMAND[how].split(), **env)
        else:
            port = str(free_port())
            words = AS_APP[how].replace("{port}", port).split()
            app = start(words, cwd=tmp_path, env=env | {"PORT": port})
        app.wait_state("ready")
        return app

    return serve


def get(
    app: App,
    kept: http.client.HTTPConnection | None = None,
    agent: str = "curl/8",
    host: str = "127.0.0.1",
) -> Any:
    """Ask on a new connection, or on one that is there; return it."""
    connection = kept or http.client.HTTPConnection(host, app.port, timeout=10)
    connection.request("GET", "/", headers={"User-Agent": agent})
    connection.getresponse().read()
    return connection


def drain_of(app: App) -> dict[str, Any]:
    status = app.status()
    assert status is not None
    found: dict[str, Any] = status["drain"]
    return found


def after(app: App, seconds: float) -> None:
    wait_for(lambda: drain_of(app)["elapsed"] >= seconds, 10, f"{seconds} s of the drain")


def visited(app: App, host: str = "127.0.0.1") -> dict[str, Any]:
    """
    Drain it, and visit it late; return its report.

    A client that was there asks last. Between, one comes that is new. A kubelet comes too.
    """
    kept = get(app, host=host)
    assert kept.sock is not None
    app.signal(signal.SIGTERM)
    app.wait_state("draining")
    after(app, 0.3)
    get(app, host=host).close()
    after(app, 0.6)
    get(app, agent="kube-probe/1.34", host=host).close()
    get(app, kept).close()
    assert app.wait(30) == 0, app.stderr
    (report,) = app.events("drain report")
    return report


@pytest.mark.parametrize("how", [*AS_APP, *AS_COMMAND])
def test_a_server_tells_new_connections_from_old_ones(
    serve: Callable[[str], App], how: str
) -> None:
    """A late request on a keep-alive connection is a request, and lengthens no settle."""
    report = visited(serve(how), "::1" if how.endswith("::1") else "127.0.0.1")
    assert sum(report["arrivals"]) == 2, report
    assert sum(report["connections"]) == 1, report
    assert 0.25 <= report["last_connection"] < report["last_request"] < 1.2, report
    assert report["services"] == ["shop"]
    assert report["settings"]["settle"] == 1.2
    own = how.startswith("run --asgi")
    assert (report.get("after_closing"), "listened" in report) == (
        (0, True) if own else (None, False)
    )


def test_under_managed_the_client_of_a_request_shows_its_connection(
    start: Start, tmp_path: Path
) -> None:
    """uvicorn keeps the signals and serves on until SIGTERM; preStop drains."""
    (tmp_path / "apps.py").write_text(APPS)
    (tmp_path / "managed.py").write_text(MANAGED)
    port = str(free_port())
    app = start(
        ["-m", "uvicorn", "managed:app", "--port", port],
        cwd=tmp_path,
        env=TIMES | {"PORT": port, "PYTHONPATH": str(tmp_path)},
    )
    app.wait_state("ready")
    kept = get(app)
    prestop = app.prestop()
    app.wait_state("draining")
    after(app, 0.3)
    get(app).close()
    after(app, 0.6)
    get(app, kept).close()
    assert prestop.result(20)[0] == 200
    drain = drain_of(app)
    assert (sum(drain["arrivals"]), sum(drain["connections"])) == (2, 1), drain
    assert 0.25 <= drain["last_connection"] < drain["last_request"], drain


def test_behind_a_proxys_header_connections_are_unknown(start: Start, tmp_path: Path) -> None:
    """uvicorn replaces the client of a trusted proxy's request, whose connection nobody sees then."""
    (tmp_path / "apps.py").write_text(APPS)
    (tmp_path / "managed.py").write_text(MANAGED)
    port = str(free_port())
    app = start(
        ["-m", "uvicorn", "managed:app", "--port", port],
        cwd=tmp_path,
        env=TIMES | {"PORT": port, "PYTHONPATH": str(tmp_path)},
    )
    app.wait_state("ready")
    prestop = app.prestop()
    app.wait_state("draining")
    with socket.create_connection(("127.0.0.1", app.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n")
        client.recv(1000)
    wait_for(lambda: drain_of(app)["arrivals"], 10, "its arrival")
    assert prestop.result(20)[0] == 200
    drain = drain_of(app)
    assert (sum(drain["arrivals"]), drain["connections"]) == (1, None)


# What the command reads


def tune(*words: str, cwd: Path, data: str | bytes = "", redirected: str = "") -> Any:
    """Run `lifecycle tune WORDS`, with a log on its standard input."""
    path = cwd / "stdin"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return cli("tune", *words, env=handed_on(), cwd=cwd, redirected=redirected or f"< {path}")


def test_real_logs_of_many_pods(serve: Callable[[str], App], tmp_path: Path) -> None:
    """From `kubectl logs` with all its options, mixed, and with the lines of the apps between."""
    app = serve("run --asgi")
    visited(app)
    own = app.stderr.splitlines()
    pods = [f"[pod/shop-{pod}/shop] 2026-03-02T10:15:48.5Z {each}" for pod in "ab" for each in own]
    docker = [json.dumps({"log": each + "\n", "stream": "stderr"}) for each in own]
    log = "\n".join([*own, "INFO: GET / 200", *pods, *docker, own[-1][:40]])
    done = tune("--json", cwd=tmp_path, data=log)
    (found,) = json.loads(done.stdout)["services"]
    assert (found["service"], found["drains"], found["basis"]) == ("shop", 4, "connections")
    assert found["settle"] == 1.2
    assert done.returncode in (0, 1, 3)
    text = tune(cwd=tmp_path, data=log)
    assert text.stdout.startswith("shop: ")
    assert text.returncode == done.returncode


SURE = "\n".join(line() for _ in range(60))
SHORT = "\n".join(
    line(last_connection=5.8, connections=[20] * 6, services=["a"]) for _ in range(60)
)
CODES = {
    "long enough": (SURE, 0),
    "too short for one": (f"{SURE}\n{SHORT}", 1),
    "not known of one": (
        f"{SURE}\n{line(services=['idle'], last_connection=0, connections=[])}",
        3,
    ),
    "too short for one, not known of one": (
        f"{SHORT}\n{line(services=['idle'], last_connection=0, connections=[])}",
        1,
    ),
}


@pytest.mark.parametrize(("log", "code"), CODES.values(), ids=CODES)
def test_the_exit_code(tmp_path: Path, log: str, code: int) -> None:
    """For a script that watches it."""
    done = tune("-", cwd=tmp_path, data=log)
    assert done.returncode == code, done.stdout
    assert done.stderr == ""


def test_several_files(tmp_path: Path) -> None:
    """Together, and a file that is named twice counts once."""
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_text(SURE)
    done = tune("a.log", "b.log", "a.log", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["services"][0]["drains"] == 120


WRONG = {
    "an empty log": (b"", "no drain report in 0 lines. The log is empty."),
    "a log without a report": (b"hello\n" * 3, "no drain report in 3 lines. Every drain logs one"),
    "a program": (b"\x7fELF\0\0\n", "The log is not text."),
    "PowerShell": (line().encode("utf-16"), "The log is UTF-16"),
    "compressed": (gzip.compress(line().encode()), "Run: zcat FILE | lifecycle tune -"),
    "cut off": (line()[:-5].encode(), "1 lines have a drain report that cannot be read"),
    "for people": (b"[info] drain report  cause=SIGTERM", "or in a format for people"),
    "a wrong value": (line(settings={"settle": "5"}).encode(), "settle is '5'"),
    "an older version": (
        b'{"event": "drain report", "steps": {}}',
        "or of an older version",
    ),
}


@pytest.mark.parametrize(("data", "said"), WRONG.values(), ids=WRONG)
def test_a_log_without_a_usable_report(tmp_path: Path, data: bytes, said: str) -> None:
    """It is said why, and what to do; the exit code is that of wrong input."""
    done = tune(cwd=tmp_path, data=data)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "\nSee https://" in done.stderr
    assert "Traceback" not in done.stderr


FILES = {
    "a folder": (".", "Is a directory"),
    "no such file": ("nowhere.log", "No such file or directory"),
    "a name with an escape": ("\x1b[2J", "\\x1b[2J: No such file"),
}


@pytest.mark.parametrize(("name", "said"), FILES.values(), ids=FILES)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, said: str) -> None:
    """The others are read, and the exit code says that something is missing."""
    (tmp_path / "a.log").write_text(SURE)
    done = tune(name, "a.log", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "\x1b" not in done.stderr
    assert done.stdout.startswith("orders: ")


def test_a_closed_standard_input(tmp_path: Path) -> None:
    """An error like any other."""
    done = tune(cwd=tmp_path, redirected="<&-")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_without_a_log_at_a_terminal(start: Start) -> None:
    """It does not wait for what nobody will type."""
    app = start(["-m", "lifecycle", "tune"], tty=True)
    assert app.wait(20) == 2
    assert "name a log, or pass one" in app.stdout


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    """As `head` does. The exit code is that of a program that SIGPIPE has ended, and no verdict."""
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "lifecycle", "tune"]
    done = subprocess.run(  # noqa: PLW1510 - the exit code is compared
        words, input=SURE, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=30
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")

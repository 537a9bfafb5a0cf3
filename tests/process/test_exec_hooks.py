"""What `lifecycle check` says of curl, wget and shells in a pod is what they do to a real app."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checks.kit import PRESTOP, RUN, env, found, pod, probe, said, sleep
from tests.process.kit import RECORDED, App
from tests.process.providers import PROVIDER

TOKEN = "correct-horse-battery"
HEADER = f"X-Lifecycle-Token: {TOKEN}"
SH = ["sh", "-c"]
PYTHON = [sys.executable, "-c"]
OPEN = "import socket; socket.create_connection(('localhost', PORT))"
FETCH = "import urllib.request as u; u.urlopen('http://localhost:PORT/ready', timeout=5)"

RIGHT = [
    ["curl", "-f", "localhost:PORT/ready"],
    ["curl", "-s", "--fail-with-body", "http://127.0.0.1:PORT/readyz"],
    [*SH, "curl -sf -m 5 localhost:PORT/ready || exit 1"],
    [*SH, "curl -s -m 5 localhost:PORT/ready | grep -q true"],
    [*SH, 'test "$(curl -s -m 5 localhost:PORT/ready)" = true'],
    ["bash", "-o", "pipefail", "-c", "curl -sf -m 5 localhost:PORT/ready | cat"],
    ["wget", "-qO-", "http://localhost:PORT/ready"],
    ["wget", "-q", "--spider", "localhost:PORT/ready"],
    ["busybox", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:PORT/ready"],
    ["busybox", "wget", "-q", "--spider", "http://127.0.0.1:PORT/ready"],
    ["timeout", "5", "curl", "-f", "localhost:PORT/ready"],
    [*PYTHON, FETCH],
    [sys.executable, "-m", "lifecycle", "probe", "ready"],
]
WRONG = [
    ["curl", "-s", "localhost:PORT/ready"],
    ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "localhost:PORT/ready"],
    [*SH, "curl -s -m 5 localhost:PORT/ready || exit 1"],
    [*SH, "curl -sf -m 5 localhost:PORT/ready || true"],
    [*SH, "curl -sf -m 5 localhost:PORT/ready; exit 0"],
    [*SH, "curl -sf -m 5 localhost:PORT/ready | cat"],
    [*SH, f"{sys.executable} -m lifecycle probe ready; true"],
    ["curl", "-fk", "https://localhost:PORT/ready"],
    ["curl", "-f", "--http2-prior-knowledge", "http://localhost:PORT/ready"],
    ["curl", "-f", "localhost:PORT/readiness"],
    ["curl", "-f", "localhost:PORT/live"],
    ["wget", "-qO-", "--no-check-certificate", "https://localhost:PORT/ready"],
    ["busybox", "wget", "-q", "http://127.0.0.1:PORT/ready"],
    ["bash", "-c", "</dev/tcp/127.0.0.1/PORT"],
    [*PYTHON, OPEN],
    [sys.executable, "-m", "lifecycle", "probe", "readiness"],
]
REFUSED = [
    ["curl", "localhost:PORT/prestop"],
    ["curl", "-XPOST", "-H", "X-Lifecycle: 1", "http://127.0.0.1:PORT/prestop"],
    ["curl", "-XPOST", "-H", "X-Lifecycle-Token: another-one-of-them", "localhost:PORT/prestop"],
    ["curl", "-XPUT", "-H", HEADER, "localhost:PORT/prestop"],
    ["curl", "-I", "-H", HEADER, "localhost:PORT/prestop"],
    ["curl", "-kH", HEADER, "https://localhost:PORT/prestop"],
    ["curl", "-H", HEADER, "localhost:PORT/shutdown"],
    ["curl", "--unix-socket", "RUN_DIR/lifecycle-PORT.sock", "http://localhost/prestop"],
    ["wget", "-qO-", "--post-data=", "http://localhost:PORT/prestop"],
    ["busybox", "wget", "-qO-", "http://127.0.0.1:PORT/prestop"],
    [sys.executable, "-m", "lifecycle", "prestop", "--port", "9"],
    [sys.executable, "-m", "lifecycle", "drain"],
]
DRAINING = [
    ["curl", "-H", HEADER, "localhost:PORT/prestop"],
    ["curl", "-XPOST", "--unix-socket", "RUN_DIR/lifecycle-PORT.sock", "http://localhost/prestop"],
    ["busybox", "wget", "-qO-", "--header", HEADER, "http://127.0.0.1:PORT/prestop"],
    [*SH, f"{sys.executable} -m lifecycle prestop || true"],
]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Serve one service, which every test leaves online and READY."""
    settings = RECORDED | {"LIFECYCLE_PRESTOP_TOKEN": TOKEN}
    with App.start(PROVIDER, cwd=tmp_path_factory.mktemp("exec"), env=settings) as app:
        app.wait_state("ready")
        yield app


def filled(app: App, command: list[str]) -> list[str]:
    where = app.env["LIFECYCLE_RUN_DIR"]
    return [each.replace("PORT", str(app.qos)).replace("RUN_DIR", where) for each in command]


def code(app: App, command: list[str]) -> int:
    return subprocess.run(
        command, cwd=app.cwd, env=app.env, capture_output=True, timeout=20, check=False
    ).returncode


def findings(app: App, made: dict[str, object]) -> list[str]:
    settings = {"LIFECYCLE_QOS_PORT": str(app.qos), "LIFECYCLE_PRESTOP_TOKEN": TOKEN}
    return said(found(pod({**RUN, **PRESTOP, **env(**settings), **made})))


@pytest.mark.parametrize("command", RIGHT, ids=" ".join)
def test_a_probe_that_tells(app: App, command: list[str]) -> None:
    """A command that is not found succeeds while the app is ready, and fails while it is not."""
    words = filled(app, command)

    assert findings(app, probe("readiness", {"exec": {"command": words}})) == []
    assert _codes(app, words) == (True, False)


@pytest.mark.parametrize("command", WRONG, ids=" ".join)
def test_a_probe_that_does_not_tell(app: App, command: list[str]) -> None:
    """A command that is found fails at some time while the app is ready, or succeeds while not."""
    words = filled(app, command)

    assert findings(app, probe("readiness", {"exec": {"command": words}})) != []
    assert _codes(app, words) != (True, False)


def _codes(app: App, words: list[str]) -> tuple[bool, bool]:
    """Tell whether it always succeeds while the app is ready, and whether while it is not."""
    online = all(code(app, words) == 0 for _ in range(2))
    app.control("POST", "/offline")
    offline = code(app, words) == 0
    app.control("POST", "/online")
    return online, offline


@pytest.mark.parametrize("command", REFUSED, ids=" ".join)
def test_a_hook_that_starts_no_drain(app: App, command: list[str]) -> None:
    """A preStop that is found leaves the app as it is."""
    words = filled(app, command)

    assert len(findings(app, sleep(*words))) == 1
    code(app, words)

    assert app.get("/ready")[0] == 200


@pytest.mark.parametrize("command", DRAINING, ids=" ".join)
def test_a_hook_that_drains(tmp_path: Path, command: list[str]) -> None:
    """A preStop that is not found returns when the app has drained."""
    settings = RECORDED | {"LIFECYCLE_PRESTOP_TOKEN": TOKEN}
    with App.start(PROVIDER, cwd=tmp_path, env=settings) as app:
        app.wait_state("ready")
        words = filled(app, command)

        assert findings(app, sleep(*words)) == []
        assert code(app, words) == 0

        assert app.get("/ready")[0] == 503

"""Fixtures of the tests with real servers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests import tables
from tests.hosts.table import HEADER, ROWS
from tests.process.kit import App, free_port
from tests.process.rollout import SERVED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what each host took, in the end."""
    tables.report(terminalreporter, ROWS, HEADER, texts=1)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Start `python ARGV`, with short times, in a folder of the test's own."""
    with ExitStack() as stack:

        def start(*argv: str, **env: str) -> App:
            full = {
                "PORT": str(free_port()),
                "LIFECYCLE_SETTLE": "0.7",
                "LIFECYCLE_QUIET": "0.2",
                "PYTHONPATH": str(SERVED),
                **env,
            }
            words = [each.format(port=full["PORT"]) for each in argv]
            app = App.start(words, env=full, cwd=tmp_path)
            stack.callback(_end, app)
            return app

        yield start


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A Redis server of the test's own."""
    program = shutil.which("redis-server")
    assert program, "redis-server is not there: `make test` installs it, as root on Debian"
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with (tmp_path / "redis.log").open("wb") as log:
        server = subprocess.Popen([program, *words], cwd=tmp_path, stdout=log, stderr=log)
    try:
        yield f"redis://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


def _end(app: App) -> None:
    """End a process, its children first: a worker outlives a master that was killed."""
    for child in _children(app.pid):
        with suppress(ProcessLookupError):  # their master ends them too
            os.kill(child, 9)
    app.__exit__()


def _children(pid: int) -> list[int]:
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [each for child in map(int, found) for each in (*_children(child), child)]

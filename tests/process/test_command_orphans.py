"""`kill -9` of `lifecycle run -- COMMAND`: nothing of the command is left, and nobody else is hit."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from lifecycle.instrumentation.lifecycle_worker.board import VARIABLE
from lifecycle.instrumentation.lifecycle_worker.process_state import is_alive, start_time
from tests.process.commands import descendants, run
from tests.process.kit import ask, wait_for
from tests.process.rollout import SERVED

IN_A_SHELL = ("sh", "-c", '"$@"; true', "-")
"""A direct child that dies by itself of the kernel's signal, and leaves its server behind."""
GUNICORN = (sys.executable, "-m", "gunicorn", "--no-control-socket", "-b", "127.0.0.1:{port}")
UVICORN = (sys.executable, "-m", "uvicorn", "--port", "{port}", "--workers", "2", "shop:app")
COMMANDS = {
    "gunicorn": (*GUNICORN, "-w", "2", "--threads", "4", "wsgi_shop:app"),
    "uvicorn": UVICORN,
    "tornado": (sys.executable, str(SERVED / "tornado_shop.py"), "2"),
    "gunicorn of another user in a shell": (
        *IN_A_SHELL, *GUNICORN, "-w", "2", "--user", "65534", "--preload", "seeded_shop:app"
    ),
    "gunicorn sync in a shell": (*IN_A_SHELL, *GUNICORN, "-w", "2", "wsgi_shop:app"),
    "uvicorn in a shell": (*IN_A_SHELL, *UVICORN),
    "werkzeug in a shell": (
        *IN_A_SHELL, sys.executable, "-m", "flask", "--app", "flask_shop:app", "run", "-p", "{port}"
    ),
    "granian in a shell": (
        *IN_A_SHELL, sys.executable, "-m", "granian", "--interface", "wsgi", "--workers", "2",
        "--port", "{port}", "wsgi_shop:app",
    ),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_killed_parent(start, tmp_path, command):
    """Its servers end as they do by SIGTERM, whatever stood between; the port is free."""
    if "--user" in command and os.geteuid():
        pytest.skip("only root may run workers as another user")
    app = run(start, tmp_path, *command, PYTHONPATH=str(SERVED))
    app.wait_state("ready")
    assert ask(app.port)[0] == 200
    assert not app.events("not instrumented")
    left = {each.pid: start_time(each.pid) for each in descendants(app.pid)}
    other = os.environ | {VARIABLE: "/dev/shm/lifecycle-1-0.board"}
    with subprocess.Popen(["sleep", "60"], env=other) as bystander:
        app.process.kill()

        try:
            wait_for(lambda: not _alive(left), 8, "nothing left")
            socket.create_server(("127.0.0.1", app.port)).close()
            assert bystander.poll() is None
        finally:
            for pid in (*_alive(left), bystander.pid):
                os.kill(pid, signal.SIGKILL)


def _alive(processes: dict[int, int]) -> list[int]:
    return [pid for pid, began in processes.items() if is_alive(pid, began)]

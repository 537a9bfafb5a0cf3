"""Whose control socket it is, when more than one process would have it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

from tests.process.kit import App, wait_for

Start = Callable[..., App]

WAITS = """
import lifecycle

async def main(life):
    await life.ready()
    await life.drained()

lifecycle.run(main)
"""
QUICK = {"LIFECYCLE_SETTLE": "0.1", "LIFECYCLE_QUIET": "0.1"}
ONE = QUICK | {"LIFECYCLE_QOS_HOST": "127.0.0.1"}
OTHER = QUICK | {"LIFECYCLE_QOS_HOST": "127.0.0.2"}


def file_of(app: App) -> Path:
    return Path(app.env["LIFECYCLE_RUN_DIR"]) / f"lifecycle-{app.qos}.sock"


def test_one_port_of_two_addresses(start: Start, tmp_path: Path) -> None:
    """The second process of a port does not take the first one's socket: it says so, and ends."""
    first = start(WAITS, env=ONE)
    first.wait_state("ready")
    same = OTHER | {"LIFECYCLE_QOS_PORT": str(first.qos), "LIFECYCLE_RUN_DIR": str(tmp_path)}
    (tmp_path / "second").mkdir()
    second = start(WAITS, env=same, cwd=tmp_path / "second")

    assert second.wait() == 2
    assert f"uses the control socket {file_of(first)}" in second.stderr
    assert "LIFECYCLE_RUN_DIR" in second.stderr
    assert "Traceback" not in second.stderr
    assert first.cli("prestop").returncode == 0


def test_a_folder_for_each(start: Start, tmp_path: Path) -> None:
    """With a folder for each, both of them have their socket."""
    first = start(WAITS, env=ONE)
    (tmp_path / "second").mkdir()
    second = start(
        WAITS, env=OTHER | {"LIFECYCLE_QOS_PORT": str(first.qos)}, cwd=tmp_path / "second"
    )
    for app in (first, second):
        status = app.wait_state("ready")
        assert status["pid"] == app.pid


def test_what_a_killed_process_has_left(start: Start) -> None:
    """A file that nobody answers on is no obstacle."""
    first = start(WAITS, env=ONE)
    first.wait_state("ready")
    first.process.kill()
    first.process.wait(10)
    assert file_of(first).exists()

    second = start(WAITS, env=ONE | {"LIFECYCLE_QOS_PORT": str(first.qos)})
    assert second.wait_state("ready")["pid"] == second.pid


def test_a_file_that_is_anothers_stays(start: Start) -> None:
    """At the end only the file of its own is taken away."""
    app = start(WAITS, env=ONE)
    app.wait_state("ready")
    os.unlink(file_of(app))
    with socket.socket(socket.AF_UNIX) as another:
        another.bind(str(file_of(app)))
        app.process.terminate()
        assert app.wait() == 0
        assert file_of(app).is_socket()


def test_a_file_of_its_own_goes(start: Start) -> None:
    """Nothing stays behind."""
    app = start(WAITS, env=ONE)
    app.wait_state("ready")
    assert file_of(app).is_socket()
    app.process.terminate()
    assert app.wait() == 0
    wait_for(lambda: not file_of(app).exists(), 20, "the file is gone")

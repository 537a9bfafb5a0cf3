"""`make demo`: what it shows is true, and it leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.process.kit import App, wait_for

DEMO = str(Path(__file__).parents[2] / "examples" / "demo" / "demo.py")


def children(pid: int) -> list[int]:
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout
    pairs = (map(int, line.split()) for line in listing.splitlines())
    return [child for child, parent in pairs if parent == pid]


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.timeout(100)
def test_loses_nothing(tmp_path: Path) -> None:
    """Without a terminal it says the same in lines; it minds no port 22222 that is taken."""
    with ExitStack() as stack:
        with suppress(OSError):  # somebody else has it, which is as good
            stack.enter_context(socket.create_server(("0.0.0.0", 22222)))
        done = subprocess.run(
            [sys.executable, DEMO],
            capture_output=True,
            text=True,
            timeout=90,
            cwd=tmp_path,
            check=False,
        )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1].endswith("requests served, 0 lost")
    for fact in ("orders-1 is READY", "/ready → false", "preStop has returned", "exit code 0"):
        assert fact in done.stdout
    for step in ("deregister", "settle", "quiet", "stop"):
        assert f"\n {step} " in done.stdout
    assert "\x1b" not in done.stdout
    # The same clients do lose something where there is something to lose.
    bare = re.search(r"^ +uvicorn +[\d,]+ +([\d,]+) ", done.stdout, re.MULTILINE)
    assert bare is not None
    assert int(bare[1].replace(",", "")) > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    """Broken off in the middle, it takes its processes with it."""
    with App.start([DEMO], cwd=tmp_path) as demo:
        wait_for(lambda: "orders-1 is READY" in demo.stdout, 30, "a replica that is ready")
        replicas = children(demo.pid)
        assert replicas
        demo.signal(number)

        assert demo.wait() == 130
        assert [pid for pid in replicas if not is_gone(pid)] == []
        assert "stopped; nothing is left running" in demo.stderr

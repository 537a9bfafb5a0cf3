"""Nothing outlives the process that has started it, however that one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.process.kit import wait_for

KEPT = str(Path(__file__).with_name("kept.py"))
FORKED = str(Path(__file__).with_name("forked.py"))


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_kubelet_that_is_killed_leaves_nothing(sent: signal.Signals):
    """A container's process goes with it, and what that one has started."""
    process = subprocess.Popen([sys.executable, KEPT], stdout=PIPE, text=True)
    assert process.stdout is not None
    try:
        first, second = (int(word) for word in process.stdout.readline().split())
        assert os.getpgid(second) == first
        process.send_signal(sent)
        assert process.wait(20) == -sent
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    wait_for(lambda: not any(map(running, (first, second))), 20, "the end of both")


def test_nothing_is_left_of_what_was_just_being_started():
    """The guard hears of a process from that process: before its parent knows of it."""
    killed = subprocess.run([sys.executable, FORKED], stderr=PIPE, timeout=20, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert killed.stderr == b""  # at the end of what all of them could have written to


def running(pid: int) -> bool:
    """Tell whether a process runs: one that waits to be reaped, by whoever it is, does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"

"""Nothing outlives the process that has started it, however that one ends."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from subprocess import PIPE

import pytest

from lifecycle.testing import BlockingKubelet
from lifecycle.testing.guard import look_up
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


def test_a_kubelet_that_cannot_start_leaves_nothing(monkeypatch, tmp_path: Path):
    """Without its guard there is no kubelet, and no folder of one."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    kubelet = BlockingKubelet()
    with pytest.raises(FileNotFoundError), kubelet:
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "refused"),
    [("exit 0\n", True), ("", True), ("#!/bin/sh\nexit 0\n", False), ("\x7fELF\0", False)],
)
def test_a_file_that_names_no_interpreter_is_refused(text: str, refused: bool, tmp_path: Path):
    """As the kernel does it: no shell interprets it, wherever it is found."""
    (tmp_path / "hook").write_text(text)
    (tmp_path / "hook").chmod(0o755)
    for name, env in (("./hook", {}), ("hook", {"PATH": str(tmp_path)})):
        with pytest.raises(OSError) if refused else contextlib.nullcontext() as caught:
            look_up(name, env, str(tmp_path))
        if caught is not None:
            assert (caught.value.errno, caught.value.filename) == (errno.ENOEXEC, name)


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


IGNORING = """
import os, signal, sys
for name in ("SIGHUP", "SIGINT", "SIGTERM"):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])
"""
LOOKING = """
from lifecycle.testing import BlockingKubelet, Container, PodSpec

LOOK = ["sed", "-n", "s/^SigIgn:[^0-9a-f]*//p", "/proc/self/status"]
with BlockingKubelet() as kubelet:
    pod = kubelet.run(PodSpec(Container(LOOK), restart_policy="Never"))
    pod.until(lambda pod: pod.finished)
    print(pod.output, end="")
"""


def test_what_is_ignored_here_is_not_ignored_in_a_container():
    """Under nohup too: a container runtime hands no ignored signal on."""
    done = subprocess.run(
        [sys.executable, "-c", IGNORING, LOOKING],
        stdout=PIPE,
        text=True,
        timeout=30,
        check=True,
    )
    # Not the C library's own signals, which a program may have left ignored, and nobody sends.
    sent = sum(1 << each - 1 for each in signal.valid_signals())
    assert int(done.stdout, 16) & sent == 0

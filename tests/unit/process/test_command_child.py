"""The command itself: what has become of it, and when its pid is given away."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from lifecycle.process.command import child as module
from lifecycle.process.command.child import Child, Command, look_at_child
from lifecycle.process.command.processes import look_at


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Iterator[Child]:
    """A child that waits for its end."""
    process = subprocess.Popen(["sleep", "60"])
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **_named: process)
    yield Child(Command(("sleep",), "sleep"), os.environ, own_group=True)
    process.kill()
    process.wait()


def until(pid: int, change: int) -> None:
    """Wait for a change of a child, and leave it to be taken note of."""
    os.waitid(os.P_PID, pid, change | os.WNOWAIT)


def test_it_is_reaped_last(child: Child) -> None:
    """Its end is known, and its pid is its own until it is given away."""
    child.look()
    assert child.code is None
    child.send(signal.SIGTERM)
    until(child.pid, os.WEXITED)

    child.look()

    assert child.code == -signal.SIGTERM
    assert child.ended.is_set()
    held = look_at(child.pid)
    assert held
    assert held.ended
    child.reap()
    assert not look_at(child.pid)


def test_a_stop_is_told_once(child: Child) -> None:
    """It runs, and may be stopped again."""
    for _ in range(2):
        os.kill(child.pid, signal.SIGSTOP)
        until(child.pid, os.WSTOPPED)
        assert look_at_child(child.pid) == (None, signal.SIGSTOP)
        assert look_at_child(child.pid) == (None, 0)
        os.kill(child.pid, signal.SIGCONT)


def test_who_waits_for_any_child(child: Child) -> None:
    """He has its exit code, and its pid is not to be used any more."""
    child.send(signal.SIGKILL)
    os.waitpid(child.pid, 0)

    child.look()

    assert (child.code, child.lost) == (1, True)
    child.reap()


def test_a_system_that_reaps_whose_end_is_seen(child: Child, monkeypatch: Any) -> None:
    """As macOS does."""
    monkeypatch.setattr(module, "IS_HELD", False)
    child.look()
    assert child.code is None
    os.kill(child.pid, signal.SIGSTOP)
    until(child.pid, os.WSTOPPED)
    assert look_at_child(child.pid) == (None, signal.SIGSTOP)
    child.send(signal.SIGKILL)
    until(child.pid, os.WEXITED)

    child.look()

    assert child.code == -signal.SIGKILL
    assert not look_at(child.pid)
    child.reap()

"""The thread of a worker that answers questions about its requests."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from lifecycle.instrumentation.lifecycle_worker.answers import Answers
from lifecycle.instrumentation.lifecycle_worker.board import ASK
from tests.unit.instrumentation.interpreters import FOLDER

LONG = 10.0


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """Listen as the parent does."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(LONG)
        listener.bind(str(path) + ASK)
        listener.listen(9)
        yield listener


def answers(path: Path, find: Callable[[int, bool], bytes]) -> threading.Event:
    """Start the thread; the event is set at its end."""
    over = threading.Event()

    def start_thread(run: Callable[[], None], _: tuple[()]) -> None:
        def work() -> None:
            run()
            over.set()

        threading.Thread(target=work, name="answers").start()

    Answers(str(path), find, start_thread).start()
    return over


def test_questions_and_answers(tmp_path: Path) -> None:
    """One after the other, however they are cut; an error is an empty answer; it ends with us."""

    def find(limit: int, with_stacks: bool) -> bytes:
        if limit == 3:
            raise ZeroDivisionError
        return f"{limit} {with_stacks}".encode()

    with listening(tmp_path / "board") as listener:
        over = answers(tmp_path / "board", find)
        parent, _ = listener.accept()
        with parent:
            parent.settimeout(LONG)
            parent.sendall(b"1 1 0\n2 2 1\n3 3 0\n4 ")
            parent.sendall(b"4 0\n")
            got = b""
            while not got.endswith(b"4 False"):
                got += parent.recv(100)
            assert got == b"1 7\n1 False2 6\n2 True3 0\n4 7\n4 False"
            assert not over.is_set()
        assert over.wait(LONG)


@pytest.mark.parametrize("sent", [b"x\n", b"1 2\n", b"1 2 3 4\n", b"9" * 5000])
def test_what_is_no_question(tmp_path: Path, sent: bytes) -> None:
    """It hangs up."""
    with listening(tmp_path / "board") as listener:
        over = answers(tmp_path / "board", lambda *_: b"")
        parent, _ = listener.accept()
        with parent:
            parent.settimeout(LONG)
            parent.sendall(sent)
            assert over.wait(LONG)
            with suppress(ConnectionResetError):  # it has not read everything
                assert parent.recv(1) == b""


def test_no_parent(tmp_path: Path) -> None:
    """Without a socket there is nothing to answer."""
    assert answers(tmp_path / "board", lambda *_: b"").wait(LONG)


def test_no_thread_can_start(tmp_path: Path) -> None:
    """The worker serves on, and its signals come through as before."""

    def fail(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    Answers(str(tmp_path / "board"), lambda *_: b"", fail).start()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_the_thread_takes_no_signal(tmp_path: Path) -> None:
    """All but those of its own faults are blocked in it, and only in it."""
    masks: list[set[Any]] = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with listening(tmp_path / "board") as listener:

        def find(*_: Any) -> bytes:
            masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))
            return b"x"

        over = answers(tmp_path / "board", find)
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
        parent, _ = listener.accept()
        with parent:
            parent.settimeout(LONG)
            parent.sendall(b"1 1 0\n")
            parent.recv(100)
        assert over.wait(LONG)
    assert {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGUSR1} <= masks[0]
    assert signal.SIGSEGV not in masks[0]


CLOSES = """
import os, socket, sys, threading, time
sys.path.insert(0, sys.argv[1])
from lifecycle_worker.answers import Answers
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[2] + ".ask")
listener.listen()
over = threading.Event()
def start(run, _):
    threading.Thread(target=lambda: (run(), over.set())).start()
asked = []
def find(limit, stacks):
    # As a daemon does: it closes everything, and opens a file of its own with the same number.
    os.dup2(file.fileno(), answers._line._socket.fileno())
    return b"x"
answers = Answers(sys.argv[2], find, start)
file = open(sys.argv[2], "w+b", buffering=0)
answers.start()
parent, _ = listener.accept()
number = answers._line._socket.fileno()
parent.sendall(b"1 1 0\\n")
assert over.wait(10)
os.write(number, b"the app's own")
print(open(sys.argv[2]).read())
"""


def test_a_descriptor_that_the_app_has_taken(tmp_path: Path) -> None:
    """Nothing is written to it or read from it, and it is not closed."""
    words = [sys.executable, "-c", CLOSES, str(FOLDER), str(tmp_path / "board")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.stderr) == ("the app's own\n", "")

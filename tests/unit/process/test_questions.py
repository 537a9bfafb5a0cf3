"""What the parent asks its workers, and what it makes of their answers."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.drain.elsewhere import View
from lifecycle.instrumentation.lifecycle_worker.board import ASK
from lifecycle.instrumentation.lifecycle_worker.standing import MOST_BYTES
from lifecycle.instrumentation.lifecycle_worker.worker import Worker
from lifecycle.process.command import board_file, questions
from lifecycle.process.command.board_file import BoardFile
from lifecycle.process.command.questions import Questions

HERE = os.getpid()
LONG = 10.0
"""Seconds for an answer that comes."""


class Scene:
    """A board with this process as its worker, and the parent's questions."""

    def __init__(self, folder: Path) -> None:
        self.file = BoardFile(str(folder))
        listener = self.file.take_listener()
        assert listener is not None
        self.questions = Questions(self.file.board, listener)
        self.slot = self.file.board.claim(time.monotonic())
        self.questions.open()

    async def connect(self) -> socket.socket:
        """Connect as a worker, and return its end once the parent has taken the other one."""
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        await loop.sock_connect(sock, self.file.path + ASK)
        await until(lambda: HERE in self.questions._lines)
        return sock

    async def ask(self, within: float = LONG, *, limit: int = 9, stacks: bool = False) -> Any:
        """Ask this process, and return its answer, or None."""
        found = await self.questions.ask([HERE, 1], limit, stacks=stacks, within=within)
        assert found.keys() <= {HERE}
        return found.get(HERE)

    def close(self) -> None:
        self.questions.close()
        self.file.close()
        self.file.board.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition is true."""
    async with asyncio.timeout(LONG):
        while not condition():
            await asyncio.sleep(0)


def play(folder: Path, act: Callable[[Scene], Awaitable[None]]) -> None:
    """Play a scene."""

    async def main() -> None:
        scene = Scene(folder)
        try:
            await act(scene)
        finally:
            scene.close()

    asyncio.run(main())


def test_a_worker_answers(tmp_path: Path) -> None:
    """With what it has in flight, the oldest first, as many as were asked for."""

    async def act(scene: Scene) -> None:
        worker = Worker()
        worker.open(scene.file.path)
        assert worker.serves("gunicorn sync", capacity=1)
        await until(lambda: HERE in scene.questions._lines)
        assert await scene.ask() == View([], [], 0)
        requests = [Asked(f"/{number}") for number in range(3)]
        for each in requests:
            worker.begin(each)
        view = await scene.ask(limit=2)
        assert [each.name for each in view.work] == ["GET /0", "GET /1"]
        assert {each.agent for each in view.work} == {"curl/8"}
        assert {(each.worker, each.protocol) for each in view.work} == {(HERE, "http/1.1")}
        assert view.total == 3
        assert view.threads == []
        assert 0 <= time.monotonic() - view.work[0].since < LONG
        view = await scene.ask(stacks=True)
        assert "MainThread" in {each.name for each in view.threads}

    play(tmp_path, act)


class Asked:
    """A request as gunicorn has it."""

    method = "GET"
    version = (1, 1)
    headers = (("HOST", "a"), ("USER-AGENT", "curl/8"))

    def __init__(self, path: str) -> None:
        self.path = path


def test_no_answer_in_time(tmp_path: Path) -> None:
    """It is left out; when it comes later, it is not taken for that of the next question."""

    async def act(scene: Scene) -> None:
        loop = asyncio.get_running_loop()
        with await scene.connect() as sock:
            assert await scene.ask(0.01) is None
            assert await loop.sock_recv(sock, 100) == b"1 9 0\n"
            asking = asyncio.ensure_future(scene.ask(stacks=True, limit=5))
            assert await loop.sock_recv(sock, 100) == b"2 5 1\n"
            old, new = b"ok 7\n", b"ok 8\nr\t1.5\tGET\t/a\t\t\t\n"
            await loop.sock_sendall(sock, b"1 %d\n%b" % (len(old), old))
            answer = b"2 %d\n%b" % (len(new), new)
            for index in range(len(answer)):
                await loop.sock_sendall(sock, answer[index : index + 1])
                await asyncio.sleep(0)
            view = await asking
            assert (view.total, [each.name for each in view.work]) == (8, ["GET /a"])

    play(tmp_path, act)


NO_ANSWERS = [
    b"\n",
    b"x" * 100,
    b"1\n",
    b"1 2 3\n",
    b"one 1\n",
    b"1 -1\n",
    b"1 %d\n" % (MOST_BYTES + 1),
    b"1 " + b"9" * 90,
    b"\xff\n",
]


@pytest.mark.parametrize("sent", NO_ANSWERS)
def test_who_sends_no_answer_is_not_heard(tmp_path: Path, sent: bytes) -> None:
    """The connection ends at once, and so does the wait at its time."""

    async def act(scene: Scene) -> None:
        loop = asyncio.get_running_loop()
        with await scene.connect() as sock:
            asking = asyncio.ensure_future(scene.ask(0.05))
            await loop.sock_recv(sock, 100)
            await loop.sock_sendall(sock, sent)
            assert await loop.sock_recv(sock, 100) == b""
            assert await asking is None
        assert scene.questions._lines == {}

    play(tmp_path, act)


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (b"ok 1\nr\tnan\tGET\t/a\t\t\t\n", []),
        (b"ok 1\nr\tinf\tGET\t/a\t\t\t\n", []),
        (b"ok 1\nr\tsoon\tGET\t/a\t\t\t\n", []),
        (b"ok 1\nr\t1\tGET\t/a\t\t\n", []),
        (b"ok 1\nr\nt\n\nx\n", []),
        (b"ok \xff\nr\t1\t\xff\t/a\t\t\t\n", ["\ufffd /a"]),
        (b"ok " + b"9" * 5000 + b"\nr\t1\t\t\t\t\t\n", ["tracked work"]),
        (b"ok\nr\t1\tGET\t/a\x1b[2J\r\x0b\t\t\t\n", [r"GET /a\x1b[2J\r\x0b"]),
    ],
)
def test_odd_answers(tmp_path: Path, answer: bytes, names: list[str]) -> None:
    """What cannot be read is left out, and the rest stays on its line."""

    async def act(scene: Scene) -> None:
        loop = asyncio.get_running_loop()
        with await scene.connect() as sock:
            asking = asyncio.ensure_future(scene.ask())
            await loop.sock_recv(sock, 100)
            await loop.sock_sendall(sock, b"1 %d\n%b" % (len(answer), answer))
            view = await asking
            assert [each.name for each in view.work] == names
            assert len(names) <= view.total < 1e9

    play(tmp_path, act)


def test_a_worker_that_could_not_find_an_answer(tmp_path: Path) -> None:
    """It is as if it had not answered."""

    async def act(scene: Scene) -> None:
        loop = asyncio.get_running_loop()
        with await scene.connect() as sock:
            asking = asyncio.ensure_future(scene.ask())
            await loop.sock_recv(sock, 100)
            await loop.sock_sendall(sock, b"1 0\n")
            assert await asking is None

    play(tmp_path, act)


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_answer(answer: bytes) -> None:
    """Nothing that a worker sends raises."""
    view = asyncio.run(questions._read(b"ok 1\n" + answer, 7))
    assert all(math.isfinite(each.since) for each in view.work)
    assert all(each.name.isprintable() for each in view.work)
    assert {each.worker for each in (*view.work, *view.threads)} <= {7}


def test_a_worker_that_does_not_read(tmp_path: Path) -> None:
    """Its questions pile up to a limit, and nothing waits for it."""

    async def act(scene: Scene) -> None:
        with await scene.connect():
            for _ in range(20_000):
                answer = scene.questions._lines[HERE].ask(1, b"x" * 60)
                if answer is None:
                    break
            else:
                raise AssertionError("it has taken everything")
            assert await scene.ask(0.01) is None

    play(tmp_path, act)


def test_a_process_that_becomes_another_program(tmp_path: Path) -> None:
    """The newer connection of a process replaces the older one."""

    async def act(scene: Scene) -> None:
        loop = asyncio.get_running_loop()
        with await scene.connect() as old, await scene.connect() as new:
            assert await loop.sock_recv(old, 1) == b""
            asking = asyncio.ensure_future(scene.ask())
            assert await loop.sock_recv(new, 100) == b"1 9 0\n"
            await loop.sock_sendall(new, b"1 4\nok 3")
            assert (await asking).total == 3

    play(tmp_path, act)


def test_a_process_that_is_no_worker(tmp_path: Path) -> None:
    """The kernel tells who it is, and the board that it is none."""

    async def act(scene: Scene) -> None:
        code = (
            "import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(10);"
            "s.connect(sys.argv[1]); print(s.recv(1))"
        )
        stranger = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, scene.file.path + ASK, stdout=subprocess.PIPE
        )
        said, _ = await asyncio.wait_for(stranger.communicate(), LONG)
        assert said == b"b''\n"

    play(tmp_path, act)


def test_no_descriptor_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers wait, the loop does not turn in vain, and they are let in later."""
    monkeypatch.setattr(questions, "AGAIN", 0.01)

    async def act(scene: Scene) -> None:
        listener, tried = scene.questions._listener, 0

        class Full:
            fileno = listener.fileno
            close = listener.close

            def accept(self) -> Any:
                nonlocal tried
                tried += 1
                if tried < 4:
                    raise OSError(errno.EMFILE, "too many")
                return listener.accept()

        asyncio.get_running_loop().remove_reader(listener)
        scene.questions._listener = Full()  # type: ignore[assignment]
        scene.questions.open()
        with await scene.connect():
            assert tried >= 4

    play(tmp_path, act)


def test_where_no_socket_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that is too long for one leaves everything else as it is."""
    monkeypatch.setattr(board_file, "FIRST", str(tmp_path / ("x" * 120)))
    (tmp_path / ("x" * 120)).mkdir()
    file = BoardFile(str(tmp_path))
    assert file.take_listener() is None
    file.close()
    file.board.close()


def test_files_are_removed(tmp_path: Path) -> None:
    """The socket too, whoever has taken it."""
    file = BoardFile()
    assert len(list(tmp_path.iterdir())) == 3
    file.close()
    file.board.close()
    assert list(tmp_path.iterdir()) == []

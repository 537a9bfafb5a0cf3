"""What the parent reads on the board of its workers."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lifecycle.exceptions import LifecycleError
from lifecycle.instrumentation.lifecycle_worker import board as layout
from lifecycle.instrumentation.lifecycle_worker.board import VARIABLE, Board
from lifecycle.instrumentation.lifecycle_worker.worker import Worker
from lifecycle.process.command import board_file
from lifecycle.process.command.board_file import BoardFile
from lifecycle.process.command.workers import Workers
from tests.unit.process.on_a_board import Nudges, with_workers

LATE = {
    "late 12.5 10.0.0.7 4711": [(12.5, ("10.0.0.7", 4711))],
    "late 12.5 ::1 4711": [(12.5, ("::1", 4711))],
    "late 12.5": [(12.5, None)],
    "late 12.5 a proxy 4711": [(12.5, None)],
    "late 12.5 10.0.0.7 many": [],
    "late soon 10.0.0.7 4711": [],
    "late": [],
}


@pytest.mark.parametrize(("line", "came"), LATE.items(), ids=LATE)
def test_a_late_request_is_passed_on(line: str, came: list[tuple[float, object]]) -> None:
    """With its time and its client; a line that was cut off is none."""

    async def main() -> None:
        found: list[tuple[float, object]] = []
        workers = Workers(BoardFile(), lambda: None, lambda at, peer: found.append((at, peer)))
        with os.fdopen(os.open(workers.path + layout.WAKE, os.O_WRONLY), "w") as pipe:
            pipe.write(f"{line}\nw\n")
        await workers.news.wait()
        workers.close()
        assert found == came

    asyncio.run(main())


def test_what_a_worker_tells_of_late_requests() -> None:
    """Only those that came after the drain start and are no health checks, each with its client."""

    async def main() -> None:
        found: list[object] = []
        file = BoardFile(ignored=("kube-probe/",))
        workers = Workers(file, lambda: None, lambda at, peer: found.append(peer))
        worker = Worker()
        worker.open(file.path)
        assert worker.serves("uvicorn")
        for key in range(9):
            worker.begin(key)
            if key == 0:
                workers.begin()
        client = ("10.0.0.7", 4711)
        worker.end_from(0, "curl/8", "/", peer=client)  # it was there before
        worker.end_from(1, "curl/8", "/", peer=client)
        worker.end_from(2, "curl/8", "/", peer=("10.0.0.8", 4712), sent_away=True)
        worker.end_from(3, "kube-probe/1.34", "/", peer=("10.0.0.1", 1))
        worker.end_from(4, "curl/8", "/")
        worker.end_from(5, "curl/8", "/", peer="/run/app.sock")
        worker.end_from(6, "curl/8", "/", peer=("\ud800", 1))
        worker.end_from(7, "curl/8", "/", peer=("x" * 5000, 1))
        worker.end_from(8, "curl/8", "/", peer=False)
        workers.news.clear()
        await workers.news.wait()
        workers.close()
        assert sorted(map(str, found)) == sorted(
            map(str, [client, ("10.0.0.8", 4712), None, None, None, None])
        )

    asyncio.run(main())


def test_nobody() -> None:
    """Without a worker nothing is in flight, nothing has come, and nobody needs to look."""

    def test(workers: Workers, _: BoardFile, __: Nudges) -> None:
        assert workers.in_flight() == 0
        assert workers.names() == workers.disturbers() == workers.status() == []
        assert workers.arrived_at() == workers.awake_since() == -math.inf
        assert workers.seen_until() == math.inf

    with_workers(test)


def test_what_a_loop_tells() -> None:
    """In flight, served, the last arrival and who it was, up to when its loop has looked."""

    def test(workers: Workers, file: BoardFile, _: Nudges) -> None:
        worker = Worker()
        worker.open(file.path)
        assert worker.serves("uvicorn")
        for key in range(3):
            worker.begin(key)
        worker.end_from(0, "curl/8", "/")
        assert workers.arrived_at() == -math.inf  # nobody has begun a drain
        workers.begin()
        worker.begin(4)
        worker.end_from(4, "curl/8", "/")

        assert workers.in_flight() == 2
        assert workers.names() == [f"uvicorn worker {os.getpid()} (2)"]
        assert workers.disturbers() == ["curl/8"]
        assert workers.arrived_at() >= file.board.draining_at > 0
        [status] = workers.status()
        assert (status["pid"], status["server"], status["served"]) == (os.getpid(), "uvicorn", 2)
        [slot] = workers.serving_now()
        assert workers.seen_until() == -math.inf  # it may have had more under way at T0
        worker.beat()
        assert workers.seen_until() == slot.beat_at
        assert workers.awake_since() == slot.awake_since
        file.board.real[slot.at + layout.BEAT_AT] = workers.now() - 9
        assert workers.awake_since() == math.inf

    with_workers(test)


def test_what_threads_tell() -> None:
    """Who serves in threads has no loop that needs to look; all of them busy is no progress."""

    def test(workers: Workers, file: BoardFile, _: Nudges) -> None:
        worker = Worker()
        worker.open(file.path)
        worker.serves("gunicorn", capacity=1)
        worker.begin(1)

        assert workers.seen_until() == math.inf
        assert workers.awake_since() == -math.inf
        [slot] = workers.serving_now()
        file.board.real[slot.at + layout.BUSY_SINCE] = workers.now() - 9
        assert workers.status()[0]["stalled"] >= 9

    with_workers(test)


def test_threads_beside_a_loop_that_beats() -> None:
    """Their loop needs to look once in a drain: it counts what was under way when that began."""

    def test(workers: Workers, file: BoardFile, _: Nudges) -> None:
        worker = Worker()
        worker.open(file.path)
        worker.serves("gunicorn gthread", capacity=2)
        worker.beat()
        assert workers.seen_until() == math.inf
        worker.under_way.add("a request")
        workers.begin()
        assert workers.seen_until() == -math.inf
        assert workers.in_flight() == 0
        worker.beat()
        assert workers.seen_until() == math.inf
        assert workers.in_flight() == 1

    with_workers(test)


@pytest.mark.parametrize("first", ["expects", "fails"])
def test_a_server_that_fails_beside_another(first: str) -> None:
    """Who fits is still waited for: every Flask app imports werkzeug's server, whoever serves it."""

    async def main() -> None:
        file = BoardFile()
        workers = Workers(file, lambda: None)
        worker = Worker()
        worker.open(file.path)

        async def told() -> None:
            workers.news.clear()
            await asyncio.wait_for(workers.news.wait(), 10)

        words = [lambda: worker.expects("gunicorn"), lambda: worker.fails("werkzeug")]
        for word in words if first == "expects" else reversed(words):
            word()
            await told()
        assert not workers.given_up.is_set()

        worker.fails("gunicorn gevent_pywsgi")
        await told()
        assert workers.given_up.is_set()
        workers.close()

    asyncio.run(main())


def test_one_that_fails_alone() -> None:
    """Nobody is waited for, whether it was expected or not."""

    async def main() -> None:
        file = BoardFile()
        workers = Workers(file, lambda: None)
        worker = Worker()
        worker.open(file.path)
        worker.fails("werkzeug")
        await asyncio.wait_for(workers.given_up.wait(), 10)
        workers.close()

    asyncio.run(main())


DIES = """
import os, sys
sys.path.insert(0, sys.argv[1])
from lifecycle_worker.worker import Worker
worker = Worker()
worker.open(os.environ["LIFECYCLE_BOARD"])
worker.expects("gunicorn")
worker.serves("gunicorn")
worker.begin(1)
worker.begin(2)
worker.end_from(2, "curl/8", "/")
print("up", flush=True)
sys.stdin.read()
os._exit(1)
"""


def test_a_worker_that_dies() -> None:
    """Its slot is free, what it had in flight is no more; who came last to it is remembered."""
    folder = str(Path(layout.__file__).parent.parent)

    async def main() -> None:
        file = BoardFile()
        gone = asyncio.Event()
        workers = Workers(file, lambda: None if workers.in_flight() else gone.set())
        workers.begin()
        process = subprocess.Popen(
            [sys.executable, "-c", DIES, folder],
            env=os.environ | {VARIABLE: file.path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdin is not None
        await asyncio.to_thread(process.stdout.readline)
        await asyncio.wait_for(workers.serving.wait(), 10)
        assert workers.expected == {"gunicorn"}
        assert workers.in_flight() == 1
        arrived_at = workers.arrived_at()
        assert arrived_at > 0
        gone.clear()

        process.stdin.close()

        await asyncio.wait_for(gone.wait(), 10)  # before it is reaped
        assert not list(file.board.slots())
        assert workers.arrived_at() == arrived_at
        assert workers.disturbers() == ["curl/8"]
        process.wait(10)
        process.stdout.close()
        workers.close()

    asyncio.run(main())


def test_workers_that_die_where_the_kernel_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose slot another one has taken, before anybody looked, is not remembered for ever."""
    never = 1 << 22  # no process has such a number, nor a greater one

    def unknown(_: int) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "pidfd_open", unknown)

    def test(workers: Workers, file: BoardFile, _: Nudges) -> None:
        slot = file.board.claim(1.0)
        assert slot is not None

        def turn(pids: range) -> int:
            for pid in pids:
                file.board.whole[slot.at + layout.PID] = pid
                workers.look()
            return sys.getsizeof(workers.__dict__["_watched"])

        few = turn(range(never + 1, never + 10))
        assert turn(range(never + 10, never + 1000)) == few
        workers.look()
        assert not list(file.board.slots())

    with_workers(test)


def test_two_parents_and_a_dead_one(tmp_path: Path) -> None:
    """A board whose parent lives stays; one that nobody holds is removed with its pipe."""
    first = BoardFile()
    dead = str(tmp_path / "lifecycle-1-abc.board")
    os.mkfifo(dead + layout.WAKE)
    reader = os.open(dead + layout.WAKE, os.O_RDONLY | os.O_NONBLOCK)
    Board.create(dead).close()
    os.close(reader)

    second = BoardFile()

    assert os.path.exists(first.path)
    assert not os.path.exists(dead)
    assert not os.path.exists(dead + layout.WAKE)
    for file in (first, second):
        file.close()
    assert not list(tmp_path.iterdir())


def test_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each folder is named with its reason, and what to do."""
    monkeypatch.setattr(board_file, "FIRST", "/proc/no/such")

    with pytest.raises(LifecycleError, match=r"/proc/no/such: No such file.*/dev/null: Not a dir"):
        BoardFile("/dev/null")

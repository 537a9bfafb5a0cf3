"""The board: each worker tells the parent how it is, in a slot of its own."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lifecycle import instrumentation
from lifecycle.instrumentation.lifecycle_worker.board import (
    BEAT_AT,
    SIZE,
    SLOT,
    SLOTS,
    WAKE,
    Board,
    NoBoard,
    is_alive,
    start_time,
)
from lifecycle.instrumentation.lifecycle_worker.worker import Worker

SPAWN = multiprocessing.get_context("spawn")


@contextmanager
def board_in(folder: Path, *ignored: str) -> Iterator[Board]:
    path = str(folder / "board")
    os.mkfifo(path + WAKE)
    reader = os.open(path + WAKE, os.O_RDONLY | os.O_NONBLOCK)
    made = Board.create(path, ignored)
    made.reader = reader
    yield made
    made.close()
    os.close(reader)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with board_in(tmp_path, "kube-probe/", "/healthz") as made:
        yield made


def lines(board: Board) -> list[str]:
    try:
        return os.read(board.reader, 65536).decode().splitlines()
    except BlockingIOError:
        return []


@pytest.fixture
def worker(board: Board) -> Worker:
    made = Worker()
    made.open(board.path)
    return made


@pytest.fixture
def sync(worker: Worker) -> Worker:
    worker.serves("gunicorn", capacity=2)
    return worker


def test_a_worker_says_who_it_is(board: Board, worker: Worker) -> None:
    """From the interpreter's start on the parent is told; the slot is taken when it serves."""
    assert list(board.slots()) == []
    worker.expects("uvicorn")
    assert worker.serves("uvicorn")
    (slot,) = board.slots()
    assert (slot.pid, slot.server, slot.capacity) == (os.getpid(), "uvicorn", 0)
    assert slot.is_alive()
    pid = os.getpid()
    assert lines(board) == [f"hello {pid}", f"expects uvicorn {pid}", f"serves {pid}"]


def test_without_a_board_nothing_is_done() -> None:
    """A process that is no worker of ours, or whose board is gone, serves as ever."""
    alone = Worker()
    assert not alone.serves("uvicorn")
    alone.begin(1)
    alone.end(1)
    alone.beat()
    assert not alone.draining
    assert not alone.settled


@pytest.mark.parametrize("content", [None, b"", b"x" * 200_000, b"x" * 10])
def test_what_is_no_board_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """Missing, empty, short, or of another version: one error that names the file."""
    path = tmp_path / "board"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NoBoard, match=str(path)):
        Board(str(path))


def test_the_count_of_what_is_in_flight(board: Board, worker: Worker) -> None:
    """What has begun and not ended is in flight; what has ended is served, once."""
    worker.serves("uvicorn")
    (slot,) = board.slots()
    worker.begin("a")
    worker.begin("b")
    assert slot.in_flight == 2
    worker.end("a")
    worker.end("a")
    assert (slot.in_flight, slot.served) == (1, 1)
    worker.end("b")
    assert (slot.in_flight, slot.served) == (0, 2)
    assert slot.arrived_at == 0


@pytest.mark.parametrize("capacity", [0, 2])
def test_when_the_oldest_request_has_started(board: Board, worker: Worker, capacity: int) -> None:
    """Whatever begins after it; with the end of the oldest one, the next one is the oldest."""
    worker.serves("gunicorn", capacity)
    (slot,) = board.slots()
    before = time.monotonic()
    worker.begin("a")
    worker.begin("b")
    worker.beat()
    first = slot.oldest_at
    assert before <= first <= time.monotonic()
    worker.end("a")
    worker.beat()
    assert first < slot.oldest_at <= time.monotonic()


def test_the_oldest_request_that_only_a_heartbeat_shows(board: Board, worker: Worker) -> None:
    """A heartbeat has first seen it, and a drain start changes nothing about that."""
    worker.serves("uvicorn")
    (slot,) = board.slots()
    worker.beat()
    worker.under_way.add("a")
    worker.beat()
    first = slot.oldest_at
    worker.under_way.add("b")
    worker.beat()
    board.draining_at = time.monotonic()
    worker.beat()
    assert first > 0
    assert slot.oldest_at == first


@pytest.mark.parametrize(
    ("agent", "path", "counts"),
    [
        ("curl/8", "/", True),
        ("", "/", True),
        ("kube-probe/1.33", "/", False),
        ("curl/8", "/healthz", False),
    ],
)
@pytest.mark.parametrize("capacity", [0, 2])
def test_arrivals_from_t0_on(
    board: Board, worker: Worker, agent: str, path: str, counts: bool, capacity: int
) -> None:
    """A health check does not keep a drain from being quiet, and is in flight all the same."""
    worker.serves("uvicorn", capacity)
    (slot,) = board.slots()
    board.draining_at = time.monotonic()
    worker.begin(1)
    assert slot.in_flight == 1
    worker.end_from(1, agent, path)
    assert (slot.arrived_at > 0) is counts
    assert slot.disturber == ((agent or "(no user agent)") if counts else "")
    assert lines(board)[-1] == "w"


def test_one_that_is_sent_away_is_no_arrival(board: Board, worker: Worker) -> None:
    """A WebSocket that is told to go as soon as it has come does not prolong the drain."""
    worker.serves("uvicorn")
    board.draining_at = time.monotonic()
    worker.begin(1)
    worker.end_from(1, "curl/8", "/", sent_away=True)
    assert next(board.slots()).arrived_at == 0


def test_threads_make_no_progress_while_all_are_busy_and_none_ends(
    board: Board, sync: Worker
) -> None:
    """One long request is no dead worker, however old it is when the other threads become busy."""
    (slot,) = board.slots()
    sync.begin("long")
    assert slot.stalled_for(time.monotonic() + 100) == 0
    for each in range(3):
        full = time.monotonic()
        sync.begin(each)
        assert slot.busy_since >= full
        assert slot.stalled_for(slot.busy_since + 100) == 100
        sync.end(each)
        assert slot.stalled_for(time.monotonic() + 100) == 0


def test_a_queue_before_busy_threads_is_no_progress_and_an_end_is(
    board: Board, sync: Worker
) -> None:
    """A request that waits for a thread does not hide that none of them ends."""
    (slot,) = board.slots()
    sync.begin(1)
    sync.begin(2)
    full = slot.busy_since
    sync.begin("waits")
    assert slot.busy_since == full
    sync.end(1)
    assert slot.busy_since > full
    assert slot.stalled_for(slot.busy_since + 100) == 100


def test_a_loop_makes_no_progress_without_a_heartbeat(board: Board, worker: Worker) -> None:
    """Its age counts, whatever is in flight; a pause begins its waking time anew."""
    worker.serves("uvicorn")
    (slot,) = board.slots()
    assert slot.stalled_for(slot.beat_at + 3) == 3
    board.real[slot.at + BEAT_AT] -= 10
    before = slot.awake_since
    worker.beat()
    assert slot.awake_since > before


def test_idle_connections_are_closed_from_settle_on(board: Board, worker: Worker) -> None:
    """At each heartbeat, and not before; one that fails is a warning, and is not tried again."""
    closed: list[int] = []
    worker.serves("uvicorn")
    worker.closes(lambda: closed.append(1))
    board.draining_at = time.monotonic()
    board.settled_at = time.monotonic() + 100
    worker.beat()
    assert closed == []
    board.settled_at = time.monotonic()
    worker.beat()
    worker.beat()
    assert closed == [1, 1]


def _claim(path: str, out: object) -> None:
    worker = Worker()
    worker.open(path)
    worker.serves("granian")
    out.put(worker.slot.index)
    time.sleep(60)


def test_a_slot_for_each_and_one_of_a_dead_worker_is_taken_again(board: Board) -> None:
    """Workers that start at once get different slots; a dead one's is free for the next."""
    out = SPAWN.Queue()
    first = [SPAWN.Process(target=_claim, args=(board.path, out)) for _ in range(4)]
    for each in first:
        each.start()
    assert sorted(out.get(timeout=30) for _ in first) == [0, 1, 2, 3]
    dead = next(slot for slot in board.slots() if slot.index == 2)
    os.kill(dead.pid, 9)
    next(each for each in first if each.pid == dead.pid).join(10)
    assert not dead.is_alive()
    again = Worker()
    again.open(board.path)
    again.serves("granian")
    assert again.slot is not None
    assert again.slot.index == 2
    for each in first:
        each.kill()
        each.join(10)
    for slot in board.slots():
        if slot.pid != os.getpid():
            board.free(slot)
    assert [slot.pid for slot in board.slots()] == [os.getpid()]


def test_a_living_workers_slot_is_not_freed(board: Board, sync: Worker) -> None:
    """Whoever believes it dead is wrong: its pid and its start time say so."""
    (slot,) = board.slots()
    board.free(slot)
    assert slot.pid == os.getpid()


def test_a_pid_that_another_process_has_now(board: Board, sync: Worker) -> None:
    """It is the start time that tells them apart."""
    (slot,) = board.slots()
    assert is_alive(slot.pid, slot.started)
    assert not is_alive(slot.pid, slot.started - 1)


def test_one_that_has_ended_is_dead(board: Board, sync: Worker) -> None:
    """Also while its parent has not looked yet: the kernel tells of its end before that."""
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert not is_alive(child, start_time(child))
    os.waitpid(child, 0)


def test_a_forked_child_has_no_slot(board: Board, sync: Worker) -> None:
    """What it counts is not counted as its parent's."""
    sync.begin(1)
    child = os.fork()
    if not child:
        sync.begin(2)
        os._exit(0 if sync.slot is None else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert next(board.slots()).in_flight == 1


def test_descriptors_that_were_closed(board: Board) -> None:
    """A daemon closes all descriptors at its start: what has our numbers then is not written to."""
    source = (
        "import os, sys; from lifecycle_worker.worker import worker; worker.open(sys.argv[1]);"
        "os.closerange(3, 50);"
        "fds = [os.open(f'{sys.argv[1]}.data', os.O_RDWR | os.O_CREAT) for _ in range(9)];"
        "worker.serves('late'); print(os.path.getsize(sys.argv[1] + '.data'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source, board.path],
        env={"PYTHONPATH": os.path.dirname(instrumentation.__file__)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert done.stdout == "0\n"
    assert [line.split()[0] for line in lines(board)] == ["hello", "serves"]


def test_a_system_without_posix_fallocate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS has none; a board is whole there too."""
    monkeypatch.delattr(os, "posix_fallocate")
    with board_in(tmp_path, "curl/") as made:
        assert made.ignored == ("curl/",)
        assert os.stat(made.path).st_blocks * 512 >= SIZE


def test_too_many_workers(board: Board, worker: Worker, capsys: pytest.CaptureFixture[str]) -> None:
    """The one that gets no slot says so once, and serves on uncounted."""
    for index in range(SLOTS):
        board.whole[(4096 + index * SLOT) // 8] = os.getppid()
    assert not worker.serves("uvicorn")
    assert not worker.serves("uvicorn")
    assert capsys.readouterr().err.count("too many workers") == 1


@pytest.mark.parametrize("text", ["curl/8", "ü" * 60, "\ud800", "a\0b", "x" * 500])
def test_any_user_agent_can_be_written(board: Board, sync: Worker, text: str) -> None:
    """It is cut to its place, and the next field stays as it is."""
    (slot,) = board.slots()
    slot.set_text(disturber=text)
    assert slot.disturber.partition("\ufffd")[0] in text.encode("utf-8", "replace").decode()
    assert slot.server == "gunicorn"


def test_its_start_imports_next_to_nothing() -> None:
    """What gevent patches later, and what takes time, is not imported at an interpreter's start."""
    code = (
        "import sys; before = set(sys.modules); sys.path.insert(0, sys.argv[1]);"
        "import lifecycle_worker.worker; print(*sorted(set(sys.modules) - before))"
    )
    folder = Path(instrumentation.__file__).parent
    words = [sys.executable, "-I", "-c", code, str(folder)]
    found = subprocess.run(words, capture_output=True, text=True, check=True, timeout=20).stdout
    ours = {
        "lifecycle_worker",
        *(f"lifecycle_worker.{n}" for n in ("board", "early_signals", "held_file", "in_flight")),
        *(f"lifecycle_worker.{n}" for n in ("orphan", "process_state", "worker")),
    }
    assert set(found.split()) - ours <= {
        "__future__",
        "_operator",
        "mmap",
        "fcntl",
        "errno",
        "select",
    }

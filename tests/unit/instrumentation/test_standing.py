"""Where the requests of a worker stand, and what they are called, as its thread answers."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from lifecycle.calls import stacks as calls
from lifecycle.instrumentation.lifecycle_worker import asgi, stacks, standing, words
from lifecycle.instrumentation.lifecycle_worker.answers import Answers
from lifecycle.instrumentation.lifecycle_worker.board import ASK
from lifecycle.instrumentation.lifecycle_worker.in_flight import InFlight
from lifecycle.instrumentation.lifecycle_worker.words import NONE, name_of, words_of
from lifecycle.instrumentation.lifecycle_worker.worker import Worker
from tests.unit.instrumentation.interpreters import FOLDER, Parent, parent

LONG = 10.0


def ask(since: dict[object, float], limit: int = 9, *, loops: Any = (), stacks: bool = True) -> Any:
    """Return the rows of an answer, without its first one, by their kinds."""
    own = threading.get_ident()
    main = threading.main_thread().ident or 0
    answer = standing.answer(
        since, limit, with_stacks=stacks, loops=loops, main=main, own=own
    ).decode()
    first, *rows = answer.removesuffix("\n").split("\n")
    assert first == f"ok {len(since)}"
    split = [row.split("\t") for row in rows]
    return (
        [row[1:] for row in split if row[0] == "r"],
        {row[1]: row[2:] for row in split if row[0] == "t"},
    )


def elsewhere(find: Callable[[], Any]) -> Any:
    """Call a function in a thread of its own, as the parent's questions are answered."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(find()), name="asks")
    thread.start()
    thread.join(LONG)
    return found[0]


class Key:
    """A request."""

    def __init__(self, path: str = "/a") -> None:
        self.method, self.path, self.version = "GET", path, (1, 1)
        self.headers = [("HOST", "a"), ("USER-AGENT", "curl/8")]


def scope(**more: Any) -> dict[str, Any]:
    headers = [(b"host", b"a"), (b"user-agent", b"curl/8")]
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/a",
        "headers": headers,
        **more,
    }


def closure(**held: Any) -> Any:
    """Return a function with a scope or an environment from an outer one."""
    if "scope" in held:
        scope = held["scope"]
        return lambda: scope
    environ = held["environ"]
    return lambda: environ


ENVIRON = {
    "REQUEST_METHOD": "GET",
    "PATH_INFO": "/a",
    "HTTP_USER_AGENT": "curl/8",
    "SERVER_PROTOCOL": "HTTP/1.0",
}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (Key("/a?token=secret"), ("GET", "/a", "curl/8", "http/1.1")),
        (closure(scope=scope()), ("GET", "/a", "curl/8", "http/1.1")),
        (closure(scope=scope(http_version="2")), ("GET", "/a", "curl/8", "http/2")),
        (closure(scope=scope(type="websocket")), ("WebSocket", "/a", "curl/8", "websocket")),
        (closure(scope=scope(http_version="9")), ("GET", "/a", "curl/8", "")),
        (closure(scope=scope(path=b"/b", method=None)), ("", "/b", "curl/8", "http/1.1")),
        (closure(environ=ENVIRON), ("GET", "/a", "curl/8", "http/1.0")),
        (closure(scope={}), NONE),
        (closure(scope=scope(headers=7)), NONE),
        (lambda: 0, NONE),
        (object(), NONE),
        (7, NONE),
    ],
)
def test_the_words_of_a_request(key: Any, expected: tuple[str, ...]) -> None:
    """Of whatever kind its server is; what has none, has none."""
    assert words_of(key) == expected


def test_words_are_bounded() -> None:
    """However long the ones of a client are."""
    method, path, agent, protocol = words_of(closure(scope=scope(path="/" + "x" * 5000)))
    assert (method, len(path), agent, protocol) == ("GET", words.LONGEST, "curl/8", "http/1.1")


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (("GET", "/a", "curl/8", "http/1.1"), "GET /a from curl/8"),
        (("GET", "/a", "", ""), "GET /a"),
        (NONE, "a request"),
    ],
)
def test_the_name_of_the_last_one(found: words.Words, name: str) -> None:
    """As in the report."""
    assert name_of(found) == name


def test_a_hash_that_raises() -> None:
    """Whatever a request of the app's does, the others are answered."""

    class Odd:
        @property
        def method(self) -> str:
            raise ZeroDivisionError

    rows, _ = ask({Odd(): 1.0, Key(): 2.0})
    assert [row[:3] for row in rows] == [["1.0", "", ""], ["2.0", "GET", "/a"]]


class Raises:
    """An object of an app, like a proxy outside a request, whose every attribute raises."""

    def __getattribute__(self, name: str) -> Any:
        raise ZeroDivisionError(name)


def test_stacks_that_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task, a greenlet, a loop or a list of them: the others have their lines, and all a name."""
    found: list[Any] = []

    def none() -> Any:
        raise ZeroDivisionError

    key, odd = Key(), Key("/odd")

    async def main() -> None:
        task = asyncio.current_task()
        monkeypatch.setattr(standing, "tasks", [none, lambda: [(odd, Raises()), (key, task)]])
        monkeypatch.setattr(standing, "greenlets", [none, lambda: [Raises()]])
        found.append(elsewhere(lambda: ask({odd: 1.0, key: 2.0}, loops=[Raises()])))

    asyncio.run(main())
    [([first, second], threads)] = found
    assert first == ["1.0", "GET", "/odd", "curl/8", "http/1.1", ""]
    assert second[:3] == ["2.0", "GET", "/a"]
    assert any(line.endswith(" main") for line in second[6:])
    assert "MainThread" in threads


def test_a_thread_whose_name_raises() -> None:
    """It has its number, and the others their names."""

    class Odd(threading.Thread):
        odd = False

        @property
        def name(self) -> str:
            if self.odd:
                raise ZeroDivisionError
            return "odd"

    free = threading.Event()
    odd = Odd(target=free.wait, args=(LONG,))
    odd.start()
    odd.odd = True
    try:
        _, threads = elsewhere(lambda: ask({}))
    finally:
        odd.odd = False
        free.set()
        odd.join(LONG)
    assert {"MainThread", f"thread {odd.ident}"} <= set(threads)


def test_the_oldest_first() -> None:
    """As many as are wanted; without stacks there are no lines and no threads."""
    since: dict[object, float] = {Key(f"/{n}"): -float(n) for n in range(5)}
    rows, threads = ask(since, 2, stacks=False)
    assert rows == [
        ["-4.0", "GET", "/4", "curl/8", "http/1.1", ""],
        ["-3.0", "GET", "/3", "curl/8", "http/1.1", ""],
    ]
    assert threads == {}


def test_texts_that_would_break_a_row() -> None:
    """A tab and a new line are none; what cannot be encoded is escaped."""
    rows, _ = ask({closure(scope=scope(path="/a\tb\nc\ud800")): 1.0})
    assert rows[0][2] == r"/a b c\ud800"


def test_an_answer_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of bytes: what is beyond is left out, and the rest is whole."""
    monkeypatch.setattr(standing, "MOST_BYTES", 200)
    since: dict[object, float] = {Key(f"/{n}"): float(n) for n in range(50)}
    rows, _ = ask(since, 50)
    assert 0 < len(rows) < 50
    assert all(len(row) == 6 for row in rows)


@pytest.mark.parametrize("of", ["worker", "this process"])
def test_the_main_thread_among_many(of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many threads there are, the main thread is the first that is shown."""
    monkeypatch.setattr(standing, "MOST_THREADS", 1)
    monkeypatch.setattr(calls, "MOST_THREADS", 1)
    free, shown = threading.Event(), []

    def look() -> None:
        if of == "worker":
            shown.extend(ask({})[1])
        else:
            shown.extend(name for name, _ in calls.other_threads())

    several = [threading.Thread(target=free.wait, args=(LONG,)) for _ in range(3)]
    looking = threading.Thread(target=look)
    for each in (*several, looking):
        each.start()
    looking.join(LONG)
    free.set()
    for each in several:
        each.join(LONG)
    assert shown == ["MainThread"]


def test_a_request_in_a_thread() -> None:
    """It stands where the thread stands in which a frame of ours has its key."""
    free, inside = threading.Event(), threading.Event()
    key, other = Key(), Key("/other")

    def app(_: Any, __: Any) -> None:
        inside.set()
        free.wait(LONG)

    ours = as_ours("def serve(key, app):\n    app(key, None)\n")["serve"]
    thread = threading.Thread(target=ours, args=(key, app), name="serves")
    thread.start()
    inside.wait(LONG)
    rows, threads = ask({key: 1.0, other: 2.0})
    free.set()
    thread.join(LONG)
    assert any(line.endswith(" app") for line in rows[0][6:])
    assert rows[0][5].endswith(" app")
    assert rows[1][5:] == [""]
    assert any(line.endswith(" app") for line in threads["serves"])
    assert "MainThread" not in threads, "it has asked"


def as_ours(text: str) -> dict[str, Any]:
    """Define functions as if they were in the folder of the instrumentation."""
    names: dict[str, Any] = {}
    exec(compile(text, str(FOLDER / "lifecycle_worker" / "made.py"), "exec"), names)
    return names


def test_a_request_in_a_task() -> None:
    """It stands where the task stands in which a coroutine of ours has its key."""

    async def main() -> None:
        async def app(*_: Any) -> None:
            await asyncio.sleep(LONG)

        worker = asgi.App(app)
        asgi.worker.slot = asgi.worker.slot or True  # type: ignore[assignment]
        task = asyncio.ensure_future(worker(scope(), None, None))
        await asyncio.sleep(0)
        key, *_ = [
            value
            for _, _, frame in stacks.frames_of(task.get_coro())
            if frame is not None
            for name, value in frame.f_locals.items()
            if name == "answer"
        ]
        loop = asyncio.get_running_loop()
        [row], threads = elsewhere(lambda: ask({key: 1.0}, loops=[loop]))
        assert row[1:5] == ["GET", "/a", "curl/8", "http/1.1"]
        assert row[5].endswith(" app")
        assert [line.split()[-1] for line in row[6:]][:2] == ["app", "sleep"]
        assert "MainThread" in threads
        own, _ = elsewhere(lambda: ask({task: 1.0}, loops=[loop]))
        assert own[0][6:] == row[6:], "a task is also found by itself"
        task.cancel()
        await asyncio.wait({task})

    kept = asgi.worker.slot
    try:
        asyncio.run(main())
    finally:
        asgi.worker.slot = kept


def test_a_task_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands where its thread stands, also if no frame of ours is in it."""
    monkeypatch.setattr(standing, "tasks", [])
    found: list[Any] = []

    async def main() -> None:
        key = Key()
        task = asyncio.current_task()
        standing.tasks.append(lambda: [(key, task)])

        def block() -> None:
            found.append(elsewhere(lambda: ask({key: 1.0})))

        block()

    asyncio.run(main())
    [([row], _)] = found
    assert any(line.endswith(" block") for line in row[6:])


def test_it_gives_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With very many tasks, those that it has not found have no lines."""
    monkeypatch.setattr(standing, "PATIENCE", -1.0)
    [row], threads = elsewhere(lambda: ask({Key(): 1.0}))
    assert row[5:] == [""]
    assert "MainThread" in threads


def test_a_long_stack_has_the_apps_line() -> None:
    """A library may be deeper than what is shown: the innermost line of the app comes first."""
    own = ("/app/orders.py", 41, "fetch")
    library = [(f"{os.sep}x{os.sep}site-packages{os.sep}lib.py", n, "call") for n in range(20)]
    lines = stacks.lines([own, *library])
    assert len(lines) == stacks.LINES
    assert lines[0] == "orders.py:41 fetch"
    assert lines[1:] == [f"lib.py:{n} call" for n in range(13, 20)]
    assert stacks.lines([own, *library[:3]])[0] == "orders.py:41 fetch"
    assert stacks.lines(library[:2]) == ["lib.py:0 call", "lib.py:1 call"]


def test_files_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, only so many are known."""
    monkeypatch.setattr(stacks, "_files", {})
    for number in range(3 * stacks.MOST_FILES):
        assert stacks.line((f"/app/{number}.py", 1, "f")) == f"{number}.py:1 f"
        assert len(stacks._files) <= stacks.MOST_FILES


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        (os.path.join("{root}", "shop", "orders.py"), "shop/orders.py"),
        (asyncio.__file__, "asyncio/__init__.py"),
        (pytest.__file__, "pytest/__init__.py"),
        ("/elsewhere/orders.py", "orders.py"),
        ("<string>", "<string>"),
    ],
)
def test_the_name_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, shown: str
) -> None:
    """As an import finds it, or else its last part."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(stacks, "_files", {})
    place = (file.replace("{root}", str(tmp_path)), 7, "f")
    assert stacks.line(place) == f"{shown}:7 f"


# When a request has started


@pytest.fixture
def here(tmp_path: Path) -> Iterator[tuple[Parent, Worker]]:
    with parent(tmp_path) as made:
        worker = Worker()
        worker.open(made.board.path)
        assert worker.serves("shop")
        yield made, worker


def in_flight_of(worker: Worker) -> InFlight:
    assert worker._in_flight is not None
    return worker._in_flight


def test_a_request_that_is_counted_has_its_time(here: tuple[Parent, Worker]) -> None:
    """To the moment."""
    _, worker = here
    before = time.monotonic()
    worker.begin("a")
    since = in_flight_of(worker).since([])
    assert before <= since["a"] <= time.monotonic()
    worker.end("a")
    assert in_flight_of(worker).since([]) == {}


def test_a_request_that_is_kept_has_the_time_of_its_heartbeat(
    here: tuple[Parent, Worker],
) -> None:
    """The first that has seen it; before one has, that of the last."""
    made, worker = here
    in_flight = in_flight_of(worker)
    worker.beat()
    first = in_flight.since(["new"])["new"]
    assert first <= time.monotonic()
    worker.under_way.add("a")
    assert in_flight.since([]) == {"a": first}
    worker.beat()
    seen = in_flight.since([])["a"]
    assert seen > first
    worker.beat()
    assert in_flight.since([]) == {"a": seen}
    made.board.draining_at = made.board.go_at = time.monotonic()
    worker.beat()
    assert in_flight.since([]) == {"a": seen}, "and keeps it when it is counted"
    worker.under_way.discard("a")
    worker.forget("a")
    worker.beat()
    assert in_flight.since([]) == {}
    assert in_flight._seen_at == {}


def test_nothing_is_held_longer_than_a_heartbeat(here: tuple[Parent, Worker]) -> None:
    """What has ended is let go by the next one."""
    _, worker = here

    class Request:
        gone = 0

        def __del__(self) -> None:
            Request.gone += 1

    worker.under_way.add(request := Request())
    worker.beat()
    worker.under_way.discard(request)
    del request
    assert not Request.gone
    worker.beat()
    gc.collect()
    assert Request.gone == 1


def test_the_last_to_end_is_on_the_board(here: tuple[Parent, Worker]) -> None:
    """From the drain start on; not a health check, and not who was sent away."""
    made, worker = here
    [slot] = made.board.slots()
    early, kept = Key("/early"), Key("/kept")
    worker.begin(early)
    worker.end_from(early, "curl/8", "/early")
    assert slot.last == (0.0, 0.0, "")
    worker.under_way.add(kept)
    worker.beat()
    made.board.draining_at = made.board.go_at = began = time.monotonic()
    worker.beat()
    late, probe, away = Key("/late"), Key("/healthz"), Key("/away")
    for each in (late, probe, away):
        worker.begin(each)
    worker.end_from(late, "curl/8", "/late")
    at, age, name = slot.last
    assert began <= at <= time.monotonic()
    assert (age >= 0, name) == (True, "GET /late from curl/8")
    worker.end_from(probe, "curl/8", "/healthz")
    worker.end_from(away, "curl/8", "/away", sent_away=True)
    assert slot.last[2] == "GET /late from curl/8"
    worker.under_way.discard(kept)
    worker.forget(kept)
    assert slot.last[2] == "GET /kept from curl/8"
    assert slot.last[1] >= age


def test_a_task_is_named_when_it_has_ended(here: tuple[Parent, Worker]) -> None:
    """Its words are looked up at the drain start, because an ended one has none."""
    made, worker = here
    [slot] = made.board.slots()

    class Task(Key):
        def add_done_callback(self, done: Any) -> None:
            self.done = done

    task = Task()
    worker.keeps(lambda: [task])
    worker.beat()
    made.board.draining_at = made.board.go_at = time.monotonic()
    worker.beat()
    task.path = ""
    task.done(task)
    assert slot.last[2] == "GET /a from curl/8"


# The thread that answers


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

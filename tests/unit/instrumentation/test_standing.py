"""Where the requests of a worker stand, and what they are called, as its thread answers."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifecycle.calls import stacks as calls
from lifecycle.instrumentation.lifecycle_worker import asgi, stacks, standing, words
from lifecycle.instrumentation.lifecycle_worker.words import NONE, name_of, words_of
from tests.unit.instrumentation.interpreters import FOLDER
from tests.unit.instrumentation.keys import Key

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

"""A process with two servers: an app may have one of its own, for its metrics."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lifecycle.instrumentation.lifecycle_worker import asgi, connections
from lifecycle.instrumentation.lifecycle_worker.board import Board
from lifecycle.instrumentation.lifecycle_worker.servers import gunicorn
from lifecycle.instrumentation.lifecycle_worker.worker import Worker
from tests.unit.instrumentation.test_board import board_in

ANY = 1_000_000
tells = gunicorn.__dict__["_tells"]


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with board_in(tmp_path) as made:
        yield made


@pytest.fixture
def worker(board: Board, monkeypatch: pytest.MonkeyPatch) -> Worker:
    made = Worker()
    made.open(board.path)
    monkeypatch.setattr(connections, "worker", made)
    monkeypatch.setattr(asgi, "worker", made)
    return made


def in_thread(function: Callable[[], object]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_both_of_a_loop_close_what_is_idle(board: Board, worker: Worker) -> None:
    """The app's own comes first, and the one that serves the app counts."""
    closed: list[str] = []

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        board.settled_at = time.monotonic()
        closers = {name: lambda name=name: closed.append(name) for name in ("aiohttp", "uvicorn")}
        for name in ("aiohttp", "aiohttp", "uvicorn", "uvicorn"):  # a server may say it twice
            connections.serves_on(loop, name, closers[name])
        closed.clear()
        worker.beat()

    asyncio.run(serve())

    assert closed == ["aiohttp", "uvicorn"]
    assert worker.slot is not None
    assert worker.slot.server == "uvicorn"


@pytest.mark.parametrize("first", ["thread", "main"])
def test_the_main_threads_counts(board: Board, worker: Worker, first: str) -> None:
    """A server of threads beside a loop, whichever has come first: the loop's heart is looked at."""
    in_its_thread = lambda: in_thread(lambda: worker.serves("werkzeug", capacity=ANY))
    on_the_loop = lambda: worker.serves("uvicorn")
    order = [in_its_thread, on_the_loop]
    for serve in order if first == "thread" else reversed(order):
        serve()
    slot = worker.slot
    assert slot is not None
    before = slot.beat_at

    in_thread(worker.beat)
    assert slot.beat_at == before
    worker.beat()
    assert slot.beat_at > before
    assert (slot.server, slot.capacity) == ("uvicorn", 0)


def test_each_closes_in_its_own_thread(board: Board, worker: Worker) -> None:
    """What a loop has open is nothing to touch from another thread."""
    closed: list[int] = []
    worker.serves("uvicorn")
    worker.closes(lambda: closed.append(threading.get_ident()))
    board.settled_at = time.monotonic()

    in_thread(worker.beat)
    assert closed == []
    worker.beat()
    assert closed == [threading.get_ident()]


@pytest.mark.parametrize("last", ["lifespan.startup.complete", "lifespan.startup.failed", "raises"])
def test_one_that_the_app_starts_as_it_begins(worker: Worker, last: str) -> None:
    """It does not make the worker one that serves: the app is not there yet."""
    closed: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()
        connections.serves_on(loop, "aiohttp", lambda: closed.append("aiohttp"))
        assert worker.slot is None
        if last == "raises":
            raise LookupError
        await send({"type": last})

    async def serve() -> None:
        heard: list[Any] = []

        async def send(message: Any) -> None:
            heard.append(message["type"])

        with contextlib.suppress(LookupError):
            await asgi.App(app)({"type": "lifespan"}, None, send)
        assert heard == [last] * (last != "raises")
        connections.serves_on(
            asyncio.get_running_loop(), "uvicorn", lambda: closed.append("uvicorn")
        )
        assert worker.board is not None
        worker.board.settled_at = time.monotonic()
        worker.beat()

    asyncio.run(serve())

    assert worker.slot is not None
    assert worker.slot.server == "uvicorn"
    assert closed == ["aiohttp", "uvicorn"]


LIFESPAN = {"type": "lifespan"}
COMPLETE = {"type": "lifespan.startup.complete"}


async def nothing(_: object = None) -> None:
    """Send, or receive."""


def test_one_that_begins_in_a_thread(worker: Worker) -> None:
    """It keeps nobody but its own thread from serving."""

    def begin() -> None:
        worker.begins()
        begun.set()
        over.wait(10)
        worker.has_begun()

    begun, over = threading.Event(), threading.Event()
    thread = threading.Thread(target=begin)
    thread.start()
    begun.wait(10)
    try:
        assert worker.serves("gunicorn sync", capacity=1)
    finally:
        over.set()
        thread.join()


def test_a_process_that_is_forked_while_an_app_begins(worker: Worker) -> None:
    """Whatever began in its parent does not begin in it."""
    worker.begins()
    assert not worker.serves("gunicorn sync", capacity=1)

    pid = os.fork()
    if not pid:
        os._exit(0 if worker.serves("gunicorn sync", capacity=1) else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_an_app_that_begins_within_another(worker: Worker) -> None:
    """The inner one's server does not make the worker one that serves: the outer one's does."""
    counted: list[str] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send(COMPLETE)

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()
        await asgi.App(inner)(LIFESPAN, nothing, nothing)
        connections.serves_on(loop, "inner", lambda: None)
        assert worker.slot is None
        in_thread(lambda: worker.serves("werkzeug", capacity=ANY))
        assert worker.slot is None
        await send(COMPLETE)

    async def serve() -> None:
        await asgi.App(outer)(LIFESPAN, nothing, nothing)
        assert connections.serves_on(asyncio.get_running_loop(), "outer", lambda: None)
        counted.append(worker.slot.server if worker.slot is not None else "")
        await asyncio.sleep(0)
        counted.append(worker.slot.server if worker.slot is not None else "")

    asyncio.run(serve())

    assert counted == ["outer", "outer"]


def test_one_that_serves_while_another_app_begins(worker: Worker) -> None:
    """Two of one loop: the first one's word is kept, whatever becomes of the other one."""

    async def fails(scope: Any, receive: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()
        assert not connections.serves_on(loop, "uvicorn", lambda: None)
        raise LookupError

    async def serve() -> None:
        with contextlib.suppress(LookupError):
            await asgi.App(fails)(LIFESPAN, nothing, nothing)
        await asyncio.sleep(0)
        assert worker.slot is not None
        assert worker.slot.server == "uvicorn"

    asyncio.run(serve())


def test_the_only_one_serves_in_a_thread_while_another_app_begins(worker: Worker) -> None:
    """Its word is kept until the main thread's app has begun."""
    worker.begins()
    in_thread(lambda: worker.serves("werkzeug", capacity=ANY))
    assert worker.slot is None

    worker.has_begun()

    assert worker.slot is not None
    assert worker.slot.server == "werkzeug"


def test_one_in_a_thread_beside_one_that_leads(worker: Worker) -> None:
    """The main thread's is certain to serve: nobody waits for another one, nor takes its word."""
    worker.leads(None, lambda: True)
    in_thread(lambda: worker.serves("werkzeug", capacity=ANY))
    assert worker.slot is None
    assert worker.serves("gunicorn sync", capacity=1)
    assert worker.slot is not None
    assert worker.slot.server == "gunicorn sync"


def test_one_in_a_thread_beside_one_that_says_nothing(worker: Worker) -> None:
    """A main server that is not known, or does not fit, keeps nobody from serving."""
    worker.leads(None, lambda: False)

    in_thread(lambda: worker.serves("werkzeug", capacity=ANY))

    assert worker.slot is not None
    assert worker.slot.server == "werkzeug"


def test_one_that_is_loaded_by_the_main_thread_and_serves_in_another(worker: Worker) -> None:
    """It does not wait for itself."""
    server, other = object(), object()
    worker.leads(server, lambda: True)
    in_thread(lambda: worker.leads(other, lambda: True))
    in_thread(lambda: worker.serves("uvicorn"))
    assert worker.slot is None

    in_thread(lambda: worker.leads(server, lambda: True))
    in_thread(lambda: worker.serves("uvicorn"))

    assert worker.slot is not None


def test_a_loop_of_a_thread_beats_once_the_main_thread_serves(worker: Worker) -> None:
    """So that what is idle there is closed, too."""
    worker.leads(None, lambda: True)
    closed = threading.Event()

    async def serve() -> None:
        over = asyncio.Event()
        loop = asyncio.get_running_loop()

        def close() -> None:
            closed.set()
            over.set()

        assert not connections.serves_on(loop, "uvicorn", close)
        waits.set()
        await asyncio.wait_for(over.wait(), 10)

    waits = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert waits.wait(10)
    assert worker.board is not None
    worker.board.settled_at = time.monotonic()
    worker.serves("gunicorn sync", capacity=1)
    thread.join()

    assert closed.is_set()


def test_which_workers_of_gunicorn_tell() -> None:
    """Those of the known modules, and what is derived from them, unless they do not fit."""

    def derived(module: str, **attributes: object) -> type:
        base = type("Base", (), {"__module__": module})
        return type("Own", (base,), {"__module__": "shop", **attributes})

    assert tells(derived("gunicorn.workers.sync"))
    assert tells(derived("uvicorn_worker._workers"))
    assert not tells(derived("gunicorn.workers.ggevent", server_class=object))
    assert not tells(derived("gunicorn.workers.geventlet"))
    assert not tells(None)


def test_workers_of_gunicorn_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another server's failure says nothing of them."""
    failing = Worker()
    monkeypatch.setattr(gunicorn, "worker", failing)
    own = type("Own", (), {"__module__": "gunicorn.workers.sync"})
    failing.fails("werkzeug")
    assert tells(own)

    failing.fails("gunicorn gevent_pywsgi")
    assert not tells(own)

"""`lifecycle run -- COMMAND` with servers of WSGI: what is counted, and who is told to go."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.process.kit import App, ask, background, wait_for
from tests.process.wsgi_shop import (
    GUNICORN,
    Client,
    ask_all,
    board,
    in_flight,
    moved,
    of_now,
    serve,
    stalls,
)

FLASK = "import flask, shop; app = flask.Flask('shop'); app.wsgi_app = shop.app"
WAITRESS = ("-m", "waitress", "--threads", "6", "--listen", "127.0.0.1:{port}", "shop:app")
GRANIAN = (
    *("-m", "granian", "--interface", "wsgi", "--blocking-threads", "6"),
    *("--port", "{port}", "shop:app"),
)
SERVERS = {
    "gunicorn sync": (1, (*GUNICORN, "--workers", "5")),
    "gunicorn gthread": (6, (*GUNICORN, "--threads", "6")),
    "gunicorn gevent": (0, (*GUNICORN, "-k", "gevent")),
    "waitress": (6, WAITRESS),
    "werkzeug": (1_000_000, ("-m", "flask", "run", "--port", "{port}")),
    "granian wsgi": (6, GRANIAN),
}
KEEPS = ("gunicorn gthread", "gunicorn gevent", "waitress", "granian wsgi")
"""They keep connections; the others say close after each answer, drain or not."""
CLOSES_IDLE = KEEPS[:3]
"""granian's are out of reach."""
PATHS = ("/", "/", "/", "/pieces", "/write", "/breaks", "/raise", "/")
"""Whole answers, iterators, the `write` callable, and an app that raises before and while it answers."""


@pytest.fixture
def connect() -> Iterator[Callable[[App], Client]]:
    """Connect to an app; all connections are closed in the end."""
    with ExitStack() as stack:

        def connect(app: App) -> Client:
            client = Client(app.port)
            stack.callback(client.close)
            return client

        yield connect


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_of_wsgi_is_drained(start, tmp_path, connect, server):
    """
    What is in flight is right under load; from T0 each answer says close, and means it.

    At settle who is idle is closed; who has not asked yet, and whose request is half sent, is not.
    An event stream ends then, and who comes back to it does not keep the drain from its end.
    """
    capacity, words = SERVERS[server]
    keeps = server in KEEPS
    (tmp_path / "wsgi.py").write_text(FLASK)
    app = serve(
        *(start, tmp_path, *words),
        LIFECYCLE_SETTLE="1.5",
        LIFECYCLE_QUIET="2",
        LIFECYCLE_GRACE_PERIOD="15",
    )
    with board(app) as seen:
        workers = of_now(seen.slots())
        assert {(each.server, each.capacity) for each in workers.values()} == {(server, capacity)}

        with ThreadPoolExecutor(6) as pool:
            asked = sum(pool.map(lambda _: ask_all(app.port, *PATHS), range(6)))
        gone = connect(app)
        gone.send("/endless").read(10)
        wait_for(lambda: in_flight(seen.slots()) == 1, 5, "the endless answer")
        gone.close()
        wait_for(lambda: not in_flight(seen.slots()), 10, "the end of whose client has gone")
        assert sum(each.served for each in seen.slots()) == asked + 1

        clients = [connect(app) for _ in range(3)]
        said = [each.ask()[1].lower() for each in clients]
        assert ("close" not in said) is keeps
        if not keeps:
            [each.close() for each in clients]
        fresh, half, late = (connect(app) for _ in range(3))
        half.raw(b"GET / HTTP/1.1\r\nHo")
        answer = late.send("/pieces")  # its header is out before T0
        slow = background(lambda: ask(app.port, "/slow"))
        events = background(lambda: listen(connect(app)))
        wait_for(lambda: in_flight(seen.slots()) == 3, 5, "three in flight")

        at = app.signal(signal.SIGTERM)
        wait_for(lambda: seen.draining_at, 5, "T0")

        assert len(answer.read()) == 30
        if keeps:
            assert clients[0].ask()[1] == "close"
            assert clients[0].ends()
            clients[0].close()
            assert clients[1].open  # idle, until settle
        if answer.getheader("connection", "keep-alive").lower() != "close":
            assert late.open  # as it was told
        if server in CLOSES_IDLE:
            wait_for(lambda: not clients[1].open, 5, "the end of an idle connection")
            assert time.monotonic() > at + 1.4
        half.raw(b"st: x\r\n\r\n")
        assert half.socket.recv(12) == b"HTTP/1.1 200"
        assert fresh.ask()[0] == 200
        assert fresh.ends()
        assert slow.result(5)[0] == 200
        half.close()
        fresh.close()
        assert events.result(5) > at + 1.4
    assert app.wait() == 0, app.stderr
    assert time.monotonic() - at < 10
    report = app.events("drain report")[0]
    assert "uncounted" not in report


def listen(client: Client) -> float:
    """Follow an event stream, which has a proper end, and return when that was."""
    body = client.send("/events", Accept="text/event-stream").read()
    assert body.endswith(b"data: 1\n\n")
    return time.monotonic()


def test_a_long_request_is_no_dead_worker(start, tmp_path):
    """One of gthread's threads that is long at work is progress; all of them are none."""
    app = serve(start, tmp_path, *GUNICORN, "--threads", "2")
    with board(app) as seen:
        (slot,) = seen.slots()
        first = background(lambda: ask_all(app.port, "/slow"))
        wait_for(lambda: slot.in_flight, 5, "one request")
        assert not first.result(5) or slot.stalled_for(time.monotonic()) == 0
        both = [background(lambda: ask_all(app.port, "/slow")) for _ in range(2)]
        wait_for(lambda: stalls(slot), 5, "two that are older than a second")
        assert [each.result(5) for each in both] == [1, 1]
        wait_for(lambda: slot.stalled_for(time.monotonic()) == 0, 5, "their ends")
    app.stop(0)


def test_a_hub_that_does_not_turn(start, tmp_path):
    """gevent's worker beats while its greenlets sleep, and not while one of them computes."""
    app = serve(start, tmp_path, *GUNICORN, "-k", "gevent")
    with board(app) as seen:
        (slot,) = seen.slots()
        sleeping = background(lambda: ask_all(app.port, "/slow"))
        wait_for(lambda: slot.in_flight, 5, "one request")
        worst = 0.0
        while slot.in_flight:
            worst = max(worst, slot.stalled_for(time.monotonic()))
            time.sleep(0.01)
        assert worst < 1
        assert sleeping.result(5) == 1
        computing = background(lambda: ask_all(app.port, "/spin"))
        wait_for(lambda: stalls(slot), 5, "a hub that stands")
        assert computing.result(5) == 1
    app.stop(0)


def test_workers_come_and_go(start, tmp_path):
    """Recycling, reload and preload leave no slot behind, and no count wrong."""
    app = serve(
        *(start, tmp_path, *GUNICORN, "--threads", "4", "--workers", "2"),
        *("--preload", "--max-requests", "25"),
    )
    with board(app) as seen:
        first = set(of_now(seen.slots()))
        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(lambda _: ask_all(app.port, *["/"] * 30), range(4))) == 120
        wait_for(lambda: not first & {slot.pid for slot in seen.slots()}, 10, "the next ones")
        wait_for(lambda: len(list(seen.slots())) == 2, 10, "as many as before")
        second = set(of_now(seen.slots()))
        os.kill(app.pid, signal.SIGHUP)
        wait_for(lambda: not second & {slot.pid for slot in seen.slots()}, 10, "the reloaded ones")
        wait_for(lambda: len(of_now(seen.slots())) == 2, 10, "both")
        assert in_flight(seen.slots()) == 0
    app.stop(0)
    assert app.stderr.count("lifecycle: ") == 0, app.stderr


@pytest.mark.parametrize(
    ("file", "name", "options"),
    [
        ("workers/gthread.py", "murder_keepalived", ("--threads", "2")),
        ("workers/sync.py", "handle_request", ()),
    ],
)
def test_a_version_that_is_not_known(start, tmp_path, file, name, options):
    """It is one warning; the worker serves on, and is drained by what the kernel tells."""
    moved(tmp_path, "gunicorn", file, name)
    app = serve(start, tmp_path, *GUNICORN, *options)

    assert ask(app.port)[0] == 200

    app.stop(0)
    warnings = [line for line in app.stderr.splitlines() if line.startswith("lifecycle: ")]
    assert len(warnings) == 1, app.stderr
    assert name in warnings[0]


def test_workers_of_another_user(start, tmp_path):
    """The board is open before gunicorn gives up its rights: `--user` changes nothing."""
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents[:3]:
        folder.chmod(0o755)
    # Later that user would have to read it, and Python may be in somebody's home.
    (tmp_path / "gunicorn.conf.py").write_text("import hashlib\n")
    app = serve(start, tmp_path, *GUNICORN, "--threads", "2", "--user", "65534")
    assert ask_all(app.port, "/", "/") == 2
    with board(app) as seen:
        (slot,) = seen.slots()
        wait_for(lambda: slot.served == 2, 5, "both counted, once their answers have gone")
        assert os.stat(f"/proc/{slot.pid}").st_uid == 65534
    app.stop(0)


def test_a_reloader_serves_in_its_child(start, tmp_path):
    """`flask run --debug`: the child serves; when a file changes, its successor does."""
    (tmp_path / "wsgi.py").write_text(FLASK)
    app = serve(start, tmp_path, "-m", "flask", "run", "--debug", "--port", "{port}")
    with board(app) as seen:
        (first,) = of_now(seen.slots())
        (tmp_path / "wsgi.py").write_text(FLASK + "\n")
        wait_for(lambda: set(of_now(seen.slots())) - {first}, 15, "its successor")
        wait_for(lambda: len(list(seen.slots())) == 1, 10, "the slot that is given back")
        assert ask_all(app.port, "/") == 1
    app.stop(0)

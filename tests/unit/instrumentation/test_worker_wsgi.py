"""A WSGI app of a worker: its event streams end at settle, and nothing else of it changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lifecycle.instrumentation.lifecycle_worker import wsgi
from lifecycle.instrumentation.lifecycle_worker.worker import Worker
from tests.unit.instrumentation.test_board import board_in

ASKS = {"REQUEST_METHOD": "GET", "HTTP_ACCEPT": "text/event-stream"}
EVENTS = [("Content-Type", "text/event-stream; charset=utf-8")]


class Stream:
    """A body that has no end of its own, and notes that it was closed."""

    closed = False

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield b"data: 1\n\n"

    def close(self) -> None:
        self.closed = True


def ignore(*_: Any) -> None:
    """Start a response, as a server does."""


@pytest.fixture
def settle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with board_in(tmp_path) as board:
        worker = Worker()
        worker.open(board.path)
        monkeypatch.setattr(wsgi, "worker", worker)
        yield lambda: setattr(board, "settled_at", 1.0)


def test_a_stream_ends_at_its_next_event(settle: Any) -> None:
    """Until settle it goes on; the app's `close` is called."""
    stream = Stream()

    def app(_: Any, start_response: Any) -> Stream:
        start_response("200 OK", EVENTS)
        return stream

    body = wsgi.App(app)(ASKS, ignore)
    events = iter(body)

    assert [next(events) for _ in range(3)] == [b"data: 1\n\n"] * 3
    settle()
    assert list(events) == []
    body.close()
    assert stream.closed


def test_an_app_that_is_a_generator(settle: Any) -> None:
    """It says what it serves only when it is asked for its first piece."""

    def app(_: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", EVENTS)
        while True:
            yield b"data: 1\n\n"

    body = wsgi.App(app)(ASKS, ignore)
    settle()

    assert list(body) == [b"data: 1\n\n"]


@pytest.mark.parametrize(
    ("environ", "headers"),
    [
        ({"REQUEST_METHOD": "GET"}, EVENTS),
        (ASKS | {"REQUEST_METHOD": "POST"}, EVENTS),
        (ASKS | {"HTTP_ACCEPT": "*/*"}, EVENTS),
        (ASKS, [("Content-Type", "text/plain")]),
        (ASKS, []),
        (ASKS, [*EVENTS, ("x-lifecycle-stream", "finite")]),
    ],
)
def test_what_is_no_endless_stream(settle: Any, environ: Any, headers: Any) -> None:
    """The server has the app's own body, whatever that is: a file, say, that it sends itself."""
    own = [b"a", b"b"]

    def app(_: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", headers)
        return own

    settle()
    assert wsgi.App(app)(environ, ignore) is own


@pytest.mark.parametrize(
    ("args", "named", "passed_on"),
    [
        ((), {}, ()),
        ((), {"exc_info": None}, ()),
        (("failure",), {}, ("failure",)),
        ((), {"exc_info": "failure"}, ("failure",)),
    ],
)
def test_how_an_app_tells_of_an_exception(args: Any, named: Any, passed_on: Any) -> None:
    """By position or by name; the server gets it by its position, and only if there is one."""
    got: list[Any] = []

    def app(_: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [], *args, **named)
        return []

    wsgi.App(app)(ASKS, lambda *all_of_it: got.append(all_of_it))

    assert got == [("200 OK", [], *passed_on)]


def test_an_app_is_what_it_was() -> None:
    """Its attributes are there."""
    assert wsgi.App(Stream).closed is False

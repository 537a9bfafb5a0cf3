"""What a worker has in flight: right at every moment, whoever counts."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.instrumentation.lifecycle_worker import asgi
from lifecycle.instrumentation.lifecycle_worker.board import WAKE, Board, Slot
from lifecycle.instrumentation.lifecycle_worker.event_streams import asks_for_events
from lifecycle.instrumentation.lifecycle_worker.in_flight import InFlight
from lifecycle.instrumentation.lifecycle_worker.servers import granian
from lifecycle.instrumentation.lifecycle_worker.worker import Worker

THREADS = 8
REQUESTS = 300


class Parent:
    """The board as the parent has it, and a worker on it."""

    def __init__(self, folder: Path, capacity: int, *ignored: str) -> None:
        path = str(folder / "board")
        os.mkfifo(path + WAKE)
        self.pipe = os.open(path + WAKE, os.O_RDONLY | os.O_NONBLOCK)
        self.board = Board.create(path, ignored)
        self.worker = Worker()
        self.worker.open(path)
        assert self.worker.serves("gunicorn gthread" if capacity else "uvicorn", capacity)

    @property
    def slot(self) -> Slot:
        (slot,) = self.board.slots()
        return slot

    def close(self) -> None:
        self.board.close()
        os.close(self.pipe)


@pytest.fixture
def threads(tmp_path: Path) -> Iterator[Parent]:
    """A worker whose threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    parent = Parent(tmp_path, THREADS)
    sys.setswitchinterval(1e-6)
    yield parent
    sys.setswitchinterval(interval)
    parent.close()


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Parent]:
    parent = Parent(tmp_path, 0)
    yield parent
    parent.close()


@pytest.mark.parametrize("draining", [False, True])
def test_many_threads_count_right(threads: Parent, draining: bool) -> None:
    """Who is under way is seen; nobody is seen once all have gone, and each was served once."""
    slot, worker, wrong = threads.slot, threads.worker, []
    if draining:
        threads.board.draining_at = time.monotonic()

    def serve() -> None:
        for _ in range(REQUESTS):
            key, began = object(), time.monotonic()
            worker.begin(key)
            seen = slot.in_flight
            if not 1 <= seen <= THREADS:
                wrong.append(("under way", seen))
            worker.end_from(key, "", "")
            if draining and slot.arrived_at < began:
                wrong.append(("gone without an arrival", slot.arrived_at - began))

    at_work = [threading.Thread(target=serve) for _ in range(THREADS)]
    for each in at_work:
        each.start()
    for each in at_work:
        each.join(60)
    assert wrong == []
    assert (slot.in_flight, slot.served) == (0, THREADS * REQUESTS)


@pytest.mark.parametrize("capacity", [0, THREADS])
def test_an_arrival_is_noted_before_nothing_is_in_flight(
    tmp_path: Path, capacity: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sees that nothing is in flight sees the arrival too: it is no quiet moment."""
    note, seen = InFlight._note, []

    def noted(*args: Any) -> None:
        seen.append(slot.in_flight)
        note(*args)
        seen.append(slot.in_flight)

    monkeypatch.setattr(InFlight, "_note", noted)
    parent = Parent(tmp_path, capacity)
    parent.board.draining_at = time.monotonic()
    slot = parent.slot
    parent.worker.begin("GET /")
    parent.worker.end_from("GET /", "curl/8", "/")
    assert (seen, slot.in_flight, slot.disturber) == ([1, 1], 0, "curl/8")
    assert slot.arrived_at >= parent.board.draining_at
    parent.close()


def test_each_is_counted_once(loop: Parent) -> None:
    """What ends twice, or has never begun, changes nothing."""
    for key in ("a", "b"):
        loop.worker.begin(key)
    for key in ("a", "a", "c"):
        loop.worker.end(key)
    assert (loop.slot.in_flight, loop.slot.served) == (1, 1)


class Finalizing:
    """A key over which the collector runs, which finalizes another response."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end = end

    def __hash__(self) -> int:
        self._end()
        return 1


def test_a_response_may_be_finalized_while_another_is_counted(threads: Parent) -> None:
    """It may be so in the same thread, which must not wait for itself."""
    worker = threads.worker

    def serve() -> None:
        for key in ("a", "b"):
            worker.begin(key)
        begins = Finalizing(lambda: worker.end("a"))
        worker.begin(begins)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert (threads.slot.in_flight, threads.slot.served) == (2, 1)


def test_a_body_is_over_once() -> None:
    """It may be exhausted, closed and dropped: its request is counted no more by the first."""
    ended: list[int] = []
    body = granian.Body([b"a"], lambda: ended.append(1))
    assert list(body) == [b"a"]
    body.close()
    del body
    assert ended == [1]


ACCEPT = st.sampled_from(
    [
        "*/*",
        "text/event-stream",
        "Text/Event-Stream; q=0",
        "text/html, text/EVENT-STREAM;q=0.5",
        "a",
    ]
)
LINES = st.lists(st.tuples(st.sampled_from(["accept", "host"]), ACCEPT), max_size=4)


@given(st.sampled_from(["GET", "POST"]), LINES)
def test_a_quick_look_finds_whoever_asks_for_events(
    method: str, lines: list[tuple[str, str]]
) -> None:
    """What spares most requests the reading of their Accept lines spares none that matters."""
    scope = {"method": method, "headers": [(k.encode(), v.encode()) for k, v in lines]}
    accept = [value for name, value in lines if name == "accept"]
    assert asgi.is_event_source(scope) == asks_for_events(method, accept)

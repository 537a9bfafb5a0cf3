"""When a request of a worker has started, and which one ended last, as the board shows it."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lifecycle.instrumentation.lifecycle_worker.in_flight import InFlight
from lifecycle.instrumentation.lifecycle_worker.worker import Worker
from tests.unit.instrumentation.interpreters import Parent, parent
from tests.unit.instrumentation.keys import Key


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

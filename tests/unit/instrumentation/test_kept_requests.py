"""Requests that are only kept before T0, shown at the heartbeats, and counted from T0 on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.instrumentation.lifecycle_worker.board import Slot
from lifecycle.instrumentation.lifecycle_worker.worker import Worker
from tests.unit.instrumentation.interpreters import Parent, parent


class Here:
    """A worker in this process, and its slot as the parent sees it."""

    def __init__(self, at: Parent, capacity: int) -> None:
        self.at = at
        self.worker = Worker()
        self.worker.open(at.board.path)
        assert self.worker.serves("shop", capacity=capacity)

    @property
    def slot(self) -> Slot:
        [found] = self.at.board.slots()
        return found

    def go(self, at: float) -> None:
        self.at.board.draining_at = self.at.board.go_at = at

    def begin(self, key: object) -> None:
        self.worker.under_way.add(key)

    def end(self, key: object) -> None:
        """End one as the servers' files do."""
        self.worker.under_way.discard(key)
        self.worker.comes()
        if self.worker.draining:
            self.worker.forget(key)

    def shown(self) -> tuple[int, int]:
        return self.slot.in_flight, self.slot.served


@pytest.fixture(params=[0, 2], ids=["loop", "threads"])
def here(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Here]:
    with parent(tmp_path) as made:
        yield Here(made, request.param)


def test_a_heartbeat_shows_them(here: Here) -> None:
    """Those that are counted one by one beside them are shown at once, and once."""
    here.begin("a")
    here.worker.begin("stream")
    here.worker.beat()
    assert here.shown() == (2, 0)
    here.end("a")
    assert here.shown() == (2, 0)
    here.worker.end("stream")
    here.worker.beat()
    assert here.shown() == (0, 2)


def test_the_first_heartbeat_of_a_drain_counts_them(here: Here) -> None:
    """From then on each end is seen at once, and the last one told; no arrival is noted."""
    here.begin("a")
    here.begin("b")
    here.worker.beat()
    here.go(time.monotonic())
    here.worker.beat()
    here.worker.begin("late")
    assert here.shown() == (3, 0)
    here.end("a")
    here.worker.end_from("late", "kube-probe/1", "/")
    assert here.shown() == (1, 2)
    here.at.told()
    here.end("b")
    assert here.shown()[0] == 0
    assert here.at.told() == ["w"]
    assert not here.slot.arrived_at
    here.worker.beat()
    assert here.shown() == (0, 3)


def test_what_ends_before_that_heartbeat(here: Here) -> None:
    """It is counted no more than what has ended before T0."""
    here.begin("a")
    here.worker.beat()
    here.go(time.monotonic())
    here.end("a")
    here.worker.beat()
    assert here.shown() == (0, 1)


@pytest.mark.parametrize("ends", ["before the heartbeat", "after it", "never"])
def test_offline_and_online_again(here: Here, ends: str) -> None:
    """What was counted meanwhile is only kept again, and is not shown for ever."""
    here.begin("a")
    here.worker.beat()
    here.go(time.monotonic())
    here.worker.beat()
    here.go(0.0)
    if ends == "before the heartbeat":
        here.end("a")
    here.worker.beat()
    if ends == "after it":
        here.end("a")
        here.worker.beat()
    assert here.shown() == ((1, 0) if ends == "never" else (0, 1))
    here.go(time.monotonic())
    here.worker.beat()
    assert here.slot.in_flight == (ends == "never")


@pytest.mark.parametrize("ends", [True, False])
def test_offline_online_and_a_drain_between_two_heartbeats(here: Here, ends: bool) -> None:
    """What has ended meanwhile is not counted for ever, and what has begun is."""
    here.begin("a")
    here.worker.beat()
    here.go(time.monotonic())
    here.worker.beat()
    here.go(0.0)
    if ends:
        here.end("a")
    else:
        here.begin("b")
    here.go(time.monotonic())
    here.worker.beat()
    assert here.slot.in_flight == (0 if ends else 2)


def test_what_a_thread_adds_just_after_t0(here: Here) -> None:
    """The next heartbeat counts it too."""
    here.worker.beat()
    here.go(time.monotonic())
    here.worker.beat()
    here.begin("a")
    here.worker.beat()
    assert here.slot.in_flight == 1
    here.end("a")
    assert here.slot.in_flight == 0


def test_all_threads_at_work_since_t0(tmp_path: Path) -> None:
    """Nobody knows since when they are, so it is not since the machine has started."""
    with parent(tmp_path) as made:
        here = Here(made, 2)
        here.worker.beat()
        here.begin("a")
        here.begin("b")
        here.go(now := time.monotonic())
        here.worker.beat()
        assert here.slot.in_flight == 2
        assert here.slot.busy_since >= now


def test_another_threads_requests_are_not_kept(tmp_path: Path) -> None:
    """Only the thread that beats for the server that counts is the keeper; and none in a fork."""
    with parent(tmp_path) as made:
        here = Here(made, 0)
        assert here.worker.keeper == 0
        here.worker.beat()
        assert here.worker.keeper == threading.get_ident()
        here.worker.serves("another", capacity=3)
        assert here.worker.keeper == 0


def test_tasks_that_a_server_keeps(tmp_path: Path) -> None:
    """They are counted until they are done."""

    async def run(here: Here) -> None:
        over = asyncio.Event()
        task = asyncio.create_task(over.wait())
        here.worker.keeps(lambda: [each for each in (task,) if not each.done()])
        here.worker.beat()
        assert here.slot.in_flight == 1
        here.go(time.monotonic())
        here.worker.beat()
        assert here.slot.in_flight == 1
        over.set()
        await task
        await asyncio.sleep(0)  # the callback
        assert here.slot.in_flight == 0

    with parent(tmp_path) as made:
        asyncio.run(run(Here(made, 0)))


def test_all_threads_at_work(tmp_path: Path) -> None:
    """Since when is the time at which the last one has ended, or begun, by the heartbeats."""
    with parent(tmp_path) as made:
        here = Here(made, 2)
        here.begin("a")
        here.begin("b")
        here.worker.beat()
        since = here.slot.busy_since
        assert since > 0
        here.worker.beat()
        assert here.slot.busy_since == since
        here.end("a")
        here.begin("c")
        here.worker.beat()
        assert here.slot.busy_since > since

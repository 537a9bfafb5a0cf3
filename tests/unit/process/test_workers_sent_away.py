"""Workers whose clients are told to go while every app service is offline, without a drain."""

from __future__ import annotations

import asyncio
import math
import os

import pytest

from lifecycle.instrumentation.lifecycle_worker.worker import Worker
from lifecycle.process.command.board_file import BoardFile
from lifecycle.process.command.uwsgi import DRAINING
from lifecycle.process.command.workers import Workers
from tests.unit.process.on_a_board import Nudges, with_workers


def test_clients_that_are_told_to_go_without_a_drain() -> None:
    """Arrivals count as in a drain, but nothing is reported of them; a drain begins anew."""

    async def main() -> None:
        late: list[object] = []
        file = BoardFile(ignored=("kube-probe/",))
        workers = Workers(file, lambda: None, lambda at, _: late.append(at))
        worker = Worker()
        worker.open(file.path)
        assert worker.serves("uvicorn")
        worker.begin("early")
        workers.send_away(workers.now() + 60)
        assert worker.draining
        assert not worker.settled
        worker.end_from("early", "curl/8", "/")
        worker.begin("probe")
        worker.end_from("probe", "kube-probe/1.34", "/")
        assert workers.arrived_at() == -math.inf
        worker.begin("one")
        worker.begin("runs on")
        worker.end_from("one", "curl/8", "/")
        assert workers.arrived_at() >= file.board.go_at > 0
        assert workers.disturbers() == ["curl/8"]
        assert workers.last_to_end() is None

        workers.begin()
        assert workers.disturbers() == []
        assert workers.arrived_at() < file.board.draining_at
        worker.end_from("runs on", "curl/8", "/")
        worker.begin("late")
        worker.end_from("late", "curl/9", "/")
        assert workers.disturbers() == ["curl/9"]
        assert workers.last_to_end() is not None
        workers.news.clear()
        await workers.news.wait()
        workers.close()
        assert len(late) == 1

    asyncio.run(main())


def test_clients_may_stay_again() -> None:
    """Nothing says close, nothing is closed, and nothing that comes is an arrival."""

    def test(workers: Workers, file: BoardFile, _: Nudges) -> None:
        worker = Worker()
        worker.open(file.path)
        assert worker.serves("uvicorn")
        closed: list[None] = []
        worker.closes(lambda: closed.append(None))
        workers.send_away(workers.now())
        worker.beat()
        assert closed == [None]
        assert os.path.exists(workers.path + DRAINING)
        workers.stay()
        worker.beat()
        assert not worker.draining
        assert not worker.settled
        assert closed == [None]
        assert not os.path.exists(workers.path + DRAINING)
        worker.begin(1)
        worker.end_from(1, "curl/8", "/")
        assert workers.arrived_at() == -math.inf

    with_workers(test)


@pytest.mark.parametrize(("ago", "settled"), [(1, True), (-1, False)])
def test_a_drain_joins_a_maintenance(ago: float, settled: bool) -> None:
    """What is ended goes on being ended; else settle counts from the start of the drain."""

    def test(workers: Workers, file: BoardFile, _: Nudges) -> None:
        began = workers.now()
        workers.send_away(began - ago)
        workers.begin()
        workers.settles_at(began + 5)
        assert file.board.settled_at == (began - ago if settled else began + 5)
        workers.settles_at(began + 2)
        assert file.board.settled_at == (began - ago if settled else began + 2)

    with_workers(test)

"""The requests in flight by name, as the workers of a command answer, or as their board tells."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from lifecycle.drain.elsewhere import Ended, Seen, SeenThread, View
from lifecycle.instrumentation.lifecycle_worker import board as layout
from lifecycle.instrumentation.lifecycle_worker.worker import Worker
from lifecycle.process.command.board_file import BoardFile
from lifecycle.process.command.workers import Workers
from tests.unit.process.on_a_board import Nudges, with_workers


def test_requests_without_an_answer() -> None:
    """A worker that cannot be asked is one entry with its number, for as long as it has been busy."""

    def test(workers: Workers, file: BoardFile, _: Nudges) -> None:
        busy = with_requests(file, 2)
        [entry] = workers.cut_off()
        assert (entry.name, entry.worker) == ("2 requests of gunicorn sync", os.getpid())
        assert 0 <= workers.now() - entry.since < 60
        busy.end("0")
        [entry] = workers.cut_off()
        assert entry.name == "1 request of gunicorn sync"
        assert workers.names() == [f"gunicorn sync worker {os.getpid()} (1)"]
        busy.end("1")
        assert workers.cut_off() == []

    with_workers(test)


def with_requests(file: BoardFile, number: int) -> Worker:
    """Return a worker of this process with requests."""
    worker = Worker()
    worker.open(file.path)
    assert worker.serves("gunicorn sync", 1)
    for each in range(number):
        worker.begin(str(each))
    return worker


class Told:
    """The questions, and what a worker has answered to them."""

    def __init__(self, *names: str, silent: bool = False) -> None:
        self.names = names
        self.silent = silent

    async def ask(self, pids: list[int], limit: int, **_: object) -> dict[int, View]:
        """Return the answer of each worker."""
        if self.silent:
            return {}
        work = [Seen(float(at), name, "curl/8", pids[0]) for at, name in enumerate(self.names)]
        return {pids[0]: View(work[:limit], [SeenThread(pids[0], "MainThread", [])], len(work))}


def test_requests_as_the_workers_answer() -> None:
    """The oldest of them, with how many there are, and where they stand for the report."""

    async def main() -> None:
        file = BoardFile()
        workers = Workers(file, lambda: None)
        busy = with_requests(file, 3)
        told = Told("GET /a", "GET /b", "GET /b")
        workers.questions = told  # type: ignore[assignment]
        view = await workers.view(2, stacks=True)
        assert [each.name for each in view.work] == ["GET /a", "GET /b"]
        assert (view.total, len(view.threads)) == (3, 1)
        told.silent = True
        view = await workers.view(2, stacks=False)
        assert [each.name for each in view.work] == ["3 requests of gunicorn sync"]
        assert (view.total, view.threads) == (3, [])
        told.silent = False
        await workers.locate()
        assert workers.names() == ["GET /b from curl/8 (2)", "GET /a from curl/8"]
        told.silent = True
        await workers.locate()
        assert [each.name for each in workers.cut_off()] == ["GET /a", "GET /b", "GET /b"]
        busy.end("0")
        busy.beat()
        [some] = workers.cut_off()  # nobody knows which of them has ended
        assert (some.name, some.pieces) == ("2 of 3 requests: GET /a, GET /b", 2)
        for each in ("1", "2"):
            busy.end(each)
        assert workers.cut_off() == []
        workers.close()

    asyncio.run(main())


@pytest.mark.parametrize("start", ["drain", "maintenance"])
def test_requests_of_an_earlier_wait_are_forgotten(start: str) -> None:
    """What a worker answered while every service was offline is not cut off by a drain long after."""

    async def main() -> None:
        file = BoardFile()
        workers = Workers(file, lambda: None)
        busy = with_requests(file, 1)
        workers.questions = told = Told("GET /old")  # type: ignore[assignment]
        workers.send_away(workers.now() + 5)
        await workers.locate()
        assert [each.name for each in workers.cut_off()] == ["GET /old"]
        busy.end("0")
        workers.stay()
        busy.begin("new")
        told.silent = True
        workers.begin() if start == "drain" else workers.send_away(workers.now() + 5)
        assert workers.names() == [f"gunicorn sync worker {os.getpid()} (1)"]
        await workers.locate()
        assert [each.name for each in workers.cut_off()] == ["1 request of gunicorn sync"]
        workers.close()

    asyncio.run(main())


@pytest.mark.parametrize("gives_up", [True, False])
def test_requests_that_end_with_their_worker(gives_up: bool) -> None:
    """They are cut off if the workers were asked to end; a crash is none of the drain's."""

    async def main() -> None:
        file = BoardFile()
        workers = Workers(file, lambda: None)
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        slot = file.board.claim(1.0)
        assert slot is not None
        at = slot.at
        file.board.whole[at + layout.STARTED] = 0
        file.board.whole[at + layout.STATE] = layout.SERVING
        file.board.whole[at + layout.IN_FLIGHT] = 1
        slot.set_text(server="shop", last="GET /last")
        file.board.real[at + layout.LAST_AT], file.board.real[at + layout.LAST_AGE] = 7.0, 2.0
        file.board.whole[at + layout.PID] = child.pid
        workers.questions = Told("GET /a")  # type: ignore[assignment]
        await workers.locate()
        workers.look()
        if gives_up:
            workers.gives_up()
        child.communicate()
        async with asyncio.timeout(10):
            while list(file.board.slots()):
                workers.look(all_again=True)
                await asyncio.sleep(0)
        assert [each.name for each in workers.cut_off()] == (["GET /a"] if gives_up else [])
        assert workers.last_to_end() == Ended(7.0, "GET /last", 2.0)
        workers.close()

    asyncio.run(main())

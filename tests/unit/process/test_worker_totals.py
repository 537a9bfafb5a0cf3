"""What the workers of a command have counted, whoever of them has died meanwhile."""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys
from collections.abc import Callable

from lifecycle.drain.counts import Totals
from lifecycle.instrumentation.lifecycle_worker import board as layout
from lifecycle.instrumentation.lifecycle_worker.worker import Worker
from lifecycle.process.command.board_file import BoardFile
from lifecycle.process.command.traffic import CommandTraffic
from lifecycle.process.command.workers import Workers

OF_ANOTHER_PROCESS = """
import sys
from lifecycle.instrumentation.lifecycle_worker.worker import Worker
worker = Worker()
worker.open(sys.argv[1])
worker.serves("uvicorn")
for key in range(5):
    worker.begin(key)
for key in range(3):
    worker.end(key)
worker.told_to_go()
print("told", flush=True)
sys.stdin.read()
"""


def with_workers(test: Callable[[Workers, BoardFile], object]) -> None:
    """Run a test on a loop."""

    async def main() -> None:
        file = BoardFile()
        workers = Workers(file, lambda: None)
        try:
            found = test(workers, file)
            if asyncio.iscoroutine(found):
                await found
        finally:
            workers.close()

    asyncio.run(main())


def test_nobody_has_counted_anything() -> None:
    """Without a worker, and without an instrumentation."""

    def test(workers: Workers, _: BoardFile) -> None:
        assert workers.totals() == Totals(0, 0)

    with_workers(test)


def test_a_request_counts_when_it_comes_and_stays_counted() -> None:
    """Whether it is in flight or has ended."""

    def test(workers: Workers, file: BoardFile) -> None:
        worker = Worker()
        worker.told_to_go()  # no board yet: nothing happens
        worker.open(file.path)
        worker.told_to_go()
        worker.serves("uvicorn")
        worker.begin(1)
        worker.begin(2)
        assert workers.totals() == Totals(2, 0)
        worker.end(1)
        worker.told_to_go()
        assert workers.totals() == Totals(2, 1)

    with_workers(test)


def test_the_oldest_request_of_all_workers() -> None:
    """Only a worker with requests in flight has one."""

    def test(workers: Workers, file: BoardFile) -> None:
        assert workers.oldest_at() == math.inf
        worker = Worker()
        worker.open(file.path)
        worker.serves("gunicorn", capacity=2)
        assert workers.oldest_at() == math.inf
        worker.begin(1)
        [slot] = workers.serving_now()
        assert workers.oldest_at() == slot.oldest_at > 0
        worker.end(1)
        assert workers.oldest_at() == math.inf

    with_workers(test)


def test_a_number_that_goes_back_for_a_moment_is_not_shown() -> None:
    """A request leaves the one number before it is in the other."""

    def test(workers: Workers, file: BoardFile) -> None:
        worker = Worker()
        worker.open(file.path)
        worker.serves("uvicorn")
        worker.begin(1)
        assert workers.totals().requests == 1
        [slot] = workers.serving_now()
        file.board.whole[slot.at + layout.IN_FLIGHT] = 0
        assert workers.totals().requests == 1

    with_workers(test)


def test_what_a_dead_worker_has_counted_stays() -> None:
    """Also with the last numbers that nobody had asked for, and when its slot is used again."""

    async def test(workers: Workers, file: BoardFile) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", OF_ANOTHER_PROCESS, file.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "told\n"
            workers.look()
            process.kill()
            process.wait(10)
        async with asyncio.timeout(10):
            while workers.serving_now():
                workers.news.clear()
                await workers.news.wait()
        assert workers.totals() == Totals(5, 1)
        worker = Worker()
        worker.open(file.path)
        worker.serves("uvicorn")
        worker.begin(1)
        assert workers.totals() == Totals(6, 1)

    with_workers(test)


def test_a_process_that_has_become_another_program_goes_on() -> None:
    """An exec keeps the pid, and claims the slot again: its earlier requests stay counted."""

    def test(workers: Workers, file: BoardFile) -> None:
        first = Worker()
        first.open(file.path)
        first.serves("gunicorn")
        for key in range(4):
            first.begin(key)
        assert workers.totals().requests == 4
        again = Worker()
        again.open(file.path)
        again.serves("gunicorn")
        again.begin(1)
        [slot] = workers.serving_now()
        assert slot.pid == os.getpid()
        assert workers.totals().requests == 5

    with_workers(test)


def test_the_traffic_of_a_command_has_the_totals_of_its_workers() -> None:
    """Also while the kernel tells what is in flight."""

    def test(workers: Workers, file: BoardFile) -> None:
        worker = Worker()
        worker.open(file.path)
        worker.serves("uvicorn")
        worker.begin(1)
        kernel: object = None
        traffic = CommandTraffic(workers, kernel, lambda: True)  # type: ignore[arg-type]
        assert traffic.totals() == Totals(1, 0)

    with_workers(test)

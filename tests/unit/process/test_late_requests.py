"""Late requests that a worker does not report at their end: it dies, or the pipe is full."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifecycle.drain.elsewhere import Seen
from lifecycle.drain.late_arrivals import UNKNOWN
from lifecycle.instrumentation.lifecycle_worker import board as layout
from lifecycle.instrumentation.lifecycle_worker.board import VARIABLE
from lifecycle.process.command.board_file import BoardFile
from lifecycle.process.command.late_requests import Located
from lifecycle.process.command.workers import Workers

LONG = 10.0
WORKER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from lifecycle_worker.worker import Worker
worker = Worker()
worker.open(os.environ["LIFECYCLE_BOARD"])
worker.serves("gunicorn", 4)
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
os._exit(1)
"""

Came = list[tuple[float, object]]
Script = Callable[["Served"], None]


class Served:
    """A worker process, and its parent, whose loop runs only at the end of a test."""

    def __init__(self, workers: Workers, file: BoardFile, came: Came) -> None:
        self.workers, self.board, self.came = workers, file.board, came
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(Path(layout.__file__).parent.parent)],
            env=os.environ | {VARIABLE: file.path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.do("pass")

    def do(self, line: str) -> None:
        """Run a line in the worker."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def located(self, *since: float, agent: str = "curl/8", total: int = 0) -> None:
        """Have the worker answer which requests are in flight."""
        [slot] = self.board.slots()
        seen = [Seen(each, "GET /", agent) for each in since]
        answer = Located(self.workers.now(), seen, total or len(seen))
        self.workers._located[slot.pid, slot.started] = answer

    def newest_at(self) -> float:
        """Return when the last request has started."""
        [slot] = self.board.slots()
        return slot.newest_at


def outcome(script: Script) -> tuple[Any, Came]:
    """Play a script until the worker has died, and return what is known of arrivals."""

    async def main() -> tuple[Any, Came]:
        came: Came = []
        file, gone = BoardFile(), asyncio.Event()
        workers = Workers(
            file,
            gone.set,
            lambda at, peer: came.append((at, peer)),
            lambda agent, path: agent.startswith("kube-probe/") or path == "/metrics",
        )
        served = Served(workers, file, came)
        try:
            await asyncio.wait_for(workers.serving.wait(), LONG)
            script(served)
        finally:
            served.process.communicate(timeout=LONG)
        while list(file.board.slots()):
            gone.clear()
            await asyncio.wait_for(gone.wait(), LONG)
        workers.close()
        return workers.arrivals(), came

    return asyncio.run(main())


def test_a_full_pipe() -> None:
    """Some lines are lost while the parent does not read, so nothing is known of the drain."""

    def script(served: Served) -> None:
        served.workers.begin()
        served.do(
            "for key in range(9000): worker.begin(key); "
            "worker.end_from(key, 'curl/8', '/', peer=('10.0.0.7', 4711))"
        )

    known, came = outcome(script)
    assert known == UNKNOWN
    assert 1000 < len(came) < 9000


def test_a_pipe_with_room() -> None:
    """Each request is known."""

    def script(served: Served) -> None:
        served.workers.begin()
        served.do("worker.begin(1); worker.end_from(1, 'curl/8', '/', peer=('10.0.0.7', 4711))")

    known, came = outcome(script)
    assert known is None
    assert [peer for _, peer in came] == [("10.0.0.7", 4711)]


def old(served: Served) -> None:
    """Die with a request that came before the drain start."""
    served.do("worker.begin(1)")
    served.workers.begin()


def late(served: Served) -> None:
    """Die with a request that came after the drain start."""
    served.workers.begin()
    served.do("worker.begin(1)")
    served.located(served.newest_at())


def old_and_late(served: Served) -> None:
    """Die with one of each."""
    served.do("worker.begin(1)")
    since = served.newest_at()
    served.workers.begin()
    served.do("worker.begin(2)")
    served.located(since, served.newest_at())


def one_of_two(served: Served) -> None:
    """Die with the second one, while the first one has ended."""
    served.workers.begin()
    served.do("worker.begin(1)")
    since = served.newest_at()
    served.do("worker.begin(2)")
    served.located(since, served.newest_at())
    served.do("worker.end(1)")


def a_health_check(served: Served) -> None:
    """Die with a late health check."""
    served.workers.begin()
    served.do("worker.begin(1)")
    served.located(served.newest_at(), agent="kube-probe/1.34")


@pytest.mark.parametrize(
    ("script", "arrivals"),
    [(old, 0), (late, 1), (old_and_late, 1), (one_of_two, 1), (a_health_check, 0)],
)
def test_a_worker_dies_with_requests(script: Script, arrivals: int) -> None:
    """The late ones count as requests of unknown clients, at the time at which they came."""
    known, came = outcome(script)
    assert known is None
    assert [peer for _, peer in came] == [None] * arrivals


def unanswered(served: Served) -> None:
    """Die without an answer."""
    served.workers.begin()
    served.do("worker.begin(1)")


def later_than_the_answer(served: Served) -> None:
    """Die with a request that has come since the answer."""
    served.do("worker.begin(1)")
    since = served.newest_at()
    served.workers.begin()
    served.located(since)
    served.do("worker.begin(2)")


def too_many(served: Served) -> None:
    """Die with more requests than an answer has."""
    served.workers.begin()
    served.do("worker.begin(1); worker.begin(2)")
    served.located(served.newest_at(), total=2)


@pytest.mark.parametrize("script", [unanswered, later_than_the_answer, too_many])
def test_it_is_not_known_when_they_came(script: Script) -> None:
    """Then nothing is known of the drain, and it is not said that nobody came."""
    known, came = outcome(script)
    assert (known, came) == (UNKNOWN, [])

"""
Servers under `lifecycle run -- COMMAND`, beside the same command without us.

Both run at the same time, and are asked in turns: without, with, with, without. The next pair of
processes is another one: two of the very same program differ by some percent. What that leaves
is told beside each figure, by the command without us against itself.
"""

from __future__ import annotations

import compileall
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from benchmarks.asking import Asking, cpu_of
from benchmarks.processes import free_port, rss, until_200
from benchmarks.throughput import Measured
from lifecycle.instrumentation.lifecycle_worker.board import VARIABLE
from lifecycle.process.command.board_file import BoardFile
from lifecycle.process.command.processes import everybody
from lifecycle.process.command.supervise import INSTRUMENTATION

PAIRS: Final = 12
ROUNDS: Final = 5
WINDOW: Final = 0.2
"""Seconds that one of the two is asked for in a turn."""
WARM: Final = 0.5
STARTS: Final = 10
INTERPRETERS: Final = 100
ENDS: Final = 15.0

WORKERS: Final = 2
TAKES: Final = 75e-6
"""CPU seconds that the apps take."""

APPS: Final = """
import os

def work():
    for _ in range({turns}):
        pass

def who():
    return str(os.getpid())

def wsgi(environ, start_response):
    work()
    start_response("200 OK", [("X-Worker", who()), ("Content-Length", "4")])
    return [b"true"]

async def asgi(scope, receive, send):
    if scope["type"] != "http":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({{"type": "lifespan.startup.complete"}})
        return await send({{"type": "lifespan.shutdown.complete"}})
    work()
    headers = [(b"x-worker", who().encode()), (b"content-length", b"4")]
    await send({{"type": "http.response.start", "status": 200, "headers": headers}})
    await send({{"type": "http.response.body", "body": b"true"}})
"""
"""
Apps that do the same work at each request, and say which worker they are in.

A number of turns, and no time by the clock: that would pass also while others have the core.
"""

COMMANDS: Final = {
    "gunicorn gthread": "gunicorn -w {workers} --threads 8 -b 127.0.0.1:{port} --no-control-socket apps:wsgi",
    "uvicorn --workers 2": "uvicorn --workers {workers} --port {port} --no-access-log apps:asgi",
    "granian --workers 2": "granian --workers {workers} --interface asgi --port {port} apps:asgi",
}
ALONE: Final = "no:tcp,no:http,no:disk,no:memory"
"""The core is measured; lifecycle-probes is beside it for the tests."""


class Seen(NamedTuple):
    """
    What was measured of one command.

    Attributes:
        throughput: With us, by without us.
        null: Without us, by without us: what the measuring is worth.
        memory: MiB of our process.
        later: Seconds by which the first answer comes later.
    """

    throughput: Measured
    null: Measured
    memory: float
    later: float


class _Command:
    def __init__(self, process: subprocess.Popen[bytes], port: int, began: float) -> None:
        self.process = process
        self.port = port
        self.first_answer = until_200(port, "/") - began

    def asking(self) -> Asking:
        """Return connections to it, as many to each worker."""
        asking = Asking(self.port, lambda: sum(map(cpu_of, self._pids)), WORKERS)
        self._pids = _all_of(self.process.pid)  # now that all workers have answered
        return asking


def _all_of(pid: int) -> set[int]:
    """Return a process and all that come from it, as far as they are there."""
    found = everybody()
    below = {each.pid for each in found if each.pid == pid}
    while more := {each.pid for each in found if each.parent in below} - below:
        below |= more
    return below


@cache
def _turns() -> int:
    """Return how many turns of an empty loop take as long as the apps do."""
    many, times = 200_000, []
    for _ in range(9):
        began = time.thread_time()
        for _ in range(many):
            pass
        times.append(time.thread_time() - began)
    return round(many * TAKES / median(times))


@contextmanager
def _started(name: str, *, ours: bool) -> Iterator[_Command]:
    port, qos = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "apps.py").write_text(APPS.format(turns=_turns()))
        words = [sys.executable, "-m", *COMMANDS[name].format(port=port, workers=WORKERS).split()]
        if ours:
            shop = ["--service", f"shop:{port}", "--"]
            words = [sys.executable, "-m", "lifecycle", "run", *shop, *words]
        env = os.environ | {
            "LIFECYCLE_QOS_PORT": str(qos),
            "LIFECYCLE_RUN_DIR": folder,
            "LIFECYCLE_PLUGINS": ALONE,
            "LIFECYCLE_SETTLE": "0",
            "LIFECYCLE_QUIET": "0",
        }
        quiet, began = subprocess.DEVNULL, time.perf_counter()
        with subprocess.Popen(words, cwd=folder, env=env, stdout=quiet, stderr=quiet) as process:
            try:
                command = _Command(process, port, began)
                if ours:
                    until_200(qos, "/startup")
                yield command
            finally:
                process.send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):  # granian's master waits now and then
                    process.wait(ENDS)
                for pid in _all_of(process.pid):
                    os.kill(pid, signal.SIGKILL)


def measure(name: str) -> Seen:
    """Measure one of `COMMANDS`."""
    memory: list[float] = []
    with_us = _throughput(name, memory.append)
    return Seen(with_us, _throughput(name), median(memory), _later(name))


def _throughput(name: str, tell: Callable[[float], None] | None = None) -> Measured:
    """Measure one beside the other; the other is ours if somebody wants to know our memory."""
    rounds = []
    for _ in range(PAIRS):
        with ExitStack() as stack:
            which = (False, tell is not None)
            both = [stack.enter_context(_started(name, ours=ours)) for ours in which]
            first, second = (stack.enter_context(closing(each.asking())) for each in both)
            first.ask(WARM), second.ask(WARM)
            for _ in range(ROUNDS):
                turns = [each.ask(WINDOW) for each in (first, second, second, first)]
                rate, cpu = (sum(pair) / 2 for pair in zip(*turns[0::3], strict=True))
                their_rate, their_cpu = (sum(pair) / 2 for pair in zip(*turns[1:3], strict=True))
                rounds.append((their_rate / rate, (their_cpu - cpu) * 1e6, rate, rate * cpu))
            if tell is not None:
                tell(rss(both[1].process.pid))
    ratios, cpus, rates, cores = (list(column) for column in zip(*rounds, strict=True))
    return Measured(ratios, cpus, median(rates), median(cores))


def _later(name: str) -> float:
    """Return by how many seconds the first answer comes later with us, alternating."""
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(STARTS):
        for ours, found in times.items():
            with _started(name, ours=ours) as command:
                found.append(command.first_answer)
    return median(times[True]) - median(times[False])


def interpreter_starts() -> list[float]:
    """Return what a Python that serves nothing costs more to start under us: CPU seconds, in turns."""
    compileall.compile_dir(INSTRUMENTATION, quiet=1)  # as pip does
    with tempfile.TemporaryDirectory() as folder:
        file = BoardFile(folder)
        bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        ours = bare | {VARIABLE: file.path, "PYTHONPATH": INSTRUMENTATION}
        found = []
        for _ in range(INTERPRETERS):
            first, *mine, last = (_start(each) for each in (bare, ours, ours, bare))
            found.append((sum(mine) - first - last) / 2)
            os.read(file.fd, 65536)  # what they have told: a full pipe would be quicker
        file.close()
    return found


def _start(env: dict[str, str]) -> float:
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", "pass"], env)
    usage = os.wait4(pid, 0)[2]
    return usage.ru_utime + usage.ru_stime

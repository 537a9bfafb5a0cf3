"""
Servers under `lifecycle run -- COMMAND`, beside the same command without us.

Requests a second: what we put around each request is switched off and on in the same workers, in
turns: off, on, on, off. Two processes of the very same program differ by more than it costs. Our
own process is not among what is switched; what it takes while it waits is a row of its own.
"""

from __future__ import annotations

import compileall
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
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

COMMANDS_TRIED: Final = 4
"""Each time with new processes."""
ROUNDS: Final = 40
WINDOW: Final = 0.1
"""Seconds that it is asked for in a turn."""
WAITS: Final = 5.0
"""Seconds in which our process waits."""
WARM: Final = 0.5
STARTS: Final = 10
INTERPRETERS: Final = 100
ENDS: Final = 15.0

WORKERS: Final = 2
TAKES: Final = 75e-6
"""CPU seconds that the apps take."""

SERVED: Final = Path(__file__).parent / "served"

COMMANDS: Final = {
    "gunicorn gthread": "gunicorn -w {workers} --threads 8 -b 127.0.0.1:{port} --no-control-socket switched:wsgi",
    "uvicorn --workers 2": "uvicorn --workers {workers} --port {port} --no-access-log switched:asgi",
    "granian --workers 2": "granian --workers {workers} --interface asgi --port {port} switched:asgi",
}
ALONE: Final = "no:tcp,no:http,no:disk,no:memory,no:prometheus,no:opentelemetry"
"""The core is measured; the other plugins are beside it for the tests."""


class Seen(NamedTuple):
    """
    What was measured of one command.

    Attributes:
        throughput: With us, by without us.
        waiting: Milliseconds of CPU a second that our process takes while it waits.
        memory: MiB of our process.
        later: Seconds by which the first answer comes later.
    """

    throughput: Measured
    waiting: float
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
def turns() -> int:
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
            "PYTHONPATH": str(SERVED),
            "TURNS": str(turns()),
        }
        quiet, began = subprocess.DEVNULL, time.perf_counter()
        with subprocess.Popen(
            words,
            cwd=folder,
            env=env,
            stdout=quiet,
            stderr=quiet,
            start_new_session=True,  # the kernel shares the cores out by sessions (sched(7))
        ) as process:
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
    rounds, waiting, memory = [], [], []
    for _ in range(COMMANDS_TRIED):
        with _started(name, ours=True) as command:
            with closing(command.asking()) as asking:
                asking.ask(WARM)
                rounds += [_round(asking) for _ in range(ROUNDS)]
            memory.append(rss(command.process.pid))
            waiting.append(_waiting(command.process.pid))
    ratios, cpus, rates, cores = (list(column) for column in zip(*rounds, strict=True))
    throughput = Measured(ratios, cpus, median(rates), median(cores))
    return Seen(throughput, median(waiting), median(memory), _later(name))


def _round(asking: Asking) -> tuple[float, float, float, float]:
    turns = []
    for path in ("/off", "/on", "/on", "/off"):
        asking.tell(path)
        turns.append(asking.ask(WINDOW))
    rate, cpu = (sum(pair) / 2 for pair in zip(*turns[0::3], strict=True))
    our_rate, our_cpu = (sum(pair) / 2 for pair in zip(*turns[1:3], strict=True))
    return our_rate / rate, (our_cpu - cpu) * 1e6, rate, rate * cpu


def _waiting(pid: int) -> float:
    before = cpu_of(pid)
    time.sleep(WAITS)
    return (cpu_of(pid) - before) / WAITS * 1000


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

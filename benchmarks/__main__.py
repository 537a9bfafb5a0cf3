"""Print every budget of the design beside what was measured, in one run."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.commands import COMMANDS, interpreter_starts, turns
from benchmarks.commands import measure as command
from benchmarks.exports import FEW, MANY, exporting
from benchmarks.in_process import IN_FLIGHT, costs, pages
from benchmarks.observed import cost as observing
from benchmarks.processes import (
    BARE,
    BUSY,
    READY,
    READY_AND_SAYS_SO,
    compiled,
    get,
    rss,
    running,
    said,
    until_200,
)
from benchmarks.scrapes import PROBES, SERVICES, scraping
from benchmarks.throughput import SERVERS, measure, uvicorn_beside_hypercorn

PAIRS = 3000
BUSY_PROBES = 400
STARTS = 50
EXITS = 5
PRESTOPS = 20


class Row(NamedTuple):
    """One line of the table."""

    what: str
    measured: str
    budget: str
    kept: bool


def _timed_get(port: int) -> float:
    began = time.perf_counter()
    if not get(port, "/live").endswith(b"true"):
        raise RuntimeError("the probe was not answered with true")
    return (time.perf_counter() - began) * 1000


def latency() -> Iterator[Row]:
    """`/live` on a fresh connection, pairwise with a bare hypercorn app; and its memory."""
    with running(BARE) as (bare, bare_port, _), running(READY) as (ours, port, _):
        until_200(bare_port, "/")
        until_200(port, "/startup")
        more = rss(ours.pid) - rss(bare.pid)
        yield Row(
            "resident memory",
            f"{rss(ours.pid):.1f} MiB / {rss(bare.pid):.1f} MiB bare = {more:+.1f} MiB",
            "<= bare hypercorn + 6 MiB",
            more <= 6,
        )
        for _ in range(300):
            _timed_get(bare_port), _timed_get(port)
        pairs = [(_timed_get(bare_port), _timed_get(port)) for _ in range(PAIRS)]
        theirs, mine = (median(side) for side in zip(*pairs, strict=True))
        yield Row(
            "/live on a fresh connection, p50",
            f"{mine:.2f} ms / {theirs:.2f} ms bare = {mine / theirs:.2f}",
            "<= 1.2 x bare hypercorn",
            mine <= 1.2 * theirs,
        )


def busy() -> Iterator[Row]:
    """`/live` while the app's loop works in 20 ms chunks without pause."""
    with running(BUSY) as (_, port, _):
        until_200(port, "/startup")
        times = [_timed_get(port) for _ in range(BUSY_PROBES)]
        p99 = quantiles(times, n=100)[98]
        yield Row(
            "/live while the app's loop is saturated, p99 (max)",
            f"{p99:.1f} ms ({max(times):.1f} ms); p50 {median(times):.1f} ms",
            "< 100 ms (none over 1 s)",
            p99 < 100 and max(times) < 1000,
        )


def start() -> Iterator[Row]:
    """
    From the process's start to the first 200, alternating; without what plugins import.

    Nobody asks an app before it says that it is ready: each early question takes it 1.5 ms.
    """
    installed = metadata.entry_points(group="lifecycle")
    alone = ",".join(f"no:{each.name}" for each in installed)
    times: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(STARTS):
        with running(BARE) as (_, port, began):
            times["bare"].append((until_200(port, "/") - began) * 1000)
        with running(READY_AND_SAYS_SO, piped=True, LIFECYCLE_PLUGINS=alone) as (
            process,
            port,
            began,
        ):
            said(process, "ready")
            times["ours"].append((until_200(port, "/startup") - began) * 1000)
    theirs, mine = median(times["bare"]), median(times["ours"])
    yield Row(
        "start to the first /startup 200",
        f"{mine:.0f} ms / {theirs:.0f} ms bare = {mine / theirs:.2f}",
        "<= 1.4 x bare hypercorn",
        mine <= 1.4 * theirs,
    )


def counting() -> Iterator[Row]:
    """The middleware and `track()`."""
    middleware, track = costs()
    yield Row("the middleware, a request", f"{middleware:.2f} us", "<= 1.0 us", middleware <= 1.0)
    yield Row("track(), a piece of work", f"{track:.2f} us", "<= 0.7 us", track <= 0.7)


def listing() -> Iterator[Row]:
    """`/inflight` while very much is in flight."""
    for query, seen in pages():
        yield Row(
            f"/inflight{query} with {IN_FLIGHT:,} in flight",
            f"{seen.milliseconds:.1f} ms",
            "<= 50 ms",
            seen.milliseconds <= 50,
        )
        if "stacks" not in query:
            yield Row(
                "the same, an entry", f"{seen.size:.0f} bytes", "<= 300 bytes", seen.size <= 300
            )


def services() -> Iterator[Row]:
    """Five times as many services: n exports cost n."""
    cost = exporting()
    yield Row(
        f"{MANY:,} services exported, registered and waited for",
        f"{cost.many:.2f} s / {cost.few:.2f} s for {FEW:,} = {cost.ratio:.1f}",
        "<= 6.5 x: five times as many",
        cost.ratio <= 6.5,
    )


def metrics() -> Iterator[Row]:
    """`/metrics` of many services and probes, and `/live` with and without ten scrapes a second."""
    cost = scraping()
    what = f"/metrics, {SERVICES} services and {PROBES} probes"
    yield Row(
        what,
        f"{cost.fresh:.1f} ms anew, {cost.kept:.1f} ms kept = {cost.fresh / cost.kept:.1f}",
        "<= 10 ms",
        cost.fresh <= 10,
    )
    yield Row(
        "/live beside 10 such scrapes a second, p99",
        f"{median(cost.scraped):.2f} ms / {median(cost.alone):.2f} ms without = {cost.ratio:.2f}",
        "<= 1.1 x without",
        cost.ratio <= 1.1,
    )


def observed() -> Iterator[Row]:
    """Everything on: metrics, traces, a scraper and the page, beside an app without them."""
    cost = observing()
    yield Row(
        "memory with metrics and traces",
        f"{cost.memory:.1f} MiB / {cost.without:.1f} MiB without = {cost.memory - cost.without:+.1f} MiB",
        "<= 12 MiB more",
        cost.memory - cost.without <= 12,
    )
    yield Row(
        "/live meanwhile, p50",
        f"{cost.live:.2f} ms / {cost.bare:.2f} ms bare = {cost.live / cost.bare:.2f}",
        "<= 1.25 x bare hypercorn",
        cost.live <= 1.25 * cost.bare,
    )
    yield Row(
        "CPU of an idle app meanwhile",
        f"{cost.busy:+.1f} ms a second",
        "<= 5 ms a second, half a percent of a core",
        cost.busy <= 5,
    )


def load() -> Iterator[Row]:
    """Requests a second of an app that takes 75 us, with and without middleware and lifecycle."""
    for server in SERVERS:
        seen = measure(server, turns=turns())
        budget = ">= 0.98 x the same server without it"
        yield Row(
            f"throughput under load, {server}",
            str(seen),
            budget,
            median(seen.ratios) >= 0.98,
        )
        seen = measure(server, "alone", turns=turns())
        yield Row(
            f"the same, a lifecycle without the middleware, {server}",
            str(seen),
            "0.99 to 1.01, or the measuring is off",
            abs(median(seen.ratios) - 1) <= 0.01,
        )


def commands() -> Iterator[Row]:
    """`lifecycle run -- COMMAND` beside the command alone: throughput, memory, the start."""
    for name in COMMANDS:
        seen = command(name)
        yield Row(
            f"{name} as a command, an app that takes 75 us",
            str(seen.throughput),
            ">= 0.98 x the same command without us",
            median(seen.throughput.ratios) >= 0.98,
        )
        yield Row(
            f"the same, our process while it waits, {name}",
            f"{seen.waiting:.1f} ms of CPU a second",
            "<= 5 ms",
            seen.waiting <= 5,
        )
        yield Row(
            f"the same, memory of our process, {name}",
            f"{seen.memory:.1f} MiB",
            "<= 36 MiB",
            seen.memory <= 36,
        )
        yield Row(
            f"the same, the first answer, {name}",
            f"{seen.later * 1000:+.0f} ms",
            "<= 300 ms later",
            seen.later <= 0.3,
        )
    more = median(interpreter_starts()) * 1000
    yield Row(
        "the start of a Python of the command that serves nothing",
        f"{more:+.1f} ms of CPU",
        "<= 3 ms more",
        more <= 3,
    )


def servers() -> Iterator[Row]:
    """Requests a second of `run --asgi` with each of its servers."""
    seen = uvicorn_beside_hypercorn()
    yield Row(
        "run --asgi --server uvicorn, beside hypercorn",
        str(seen),
        ">= 1.5 x hypercorn's",
        median(seen.ratios) >= 1.5,
    )


def leaving() -> Iterator[Row]:
    """SIGTERM to exit, beyond settle, with and without a kept QOS connection."""
    for python in _pythons():
        for kept in (False, True):
            times = [_exit_time(python, kept=kept) for _ in range(EXITS)]
            with_ = "with a kept QOS connection" if kept else "no connection"
            yield Row(
                f"exit after the drain, {_version(python)}, {with_}",
                f"{median(times):.0f} ms (max {max(times):.0f} ms)",
                "<= 100 ms",
                median(times) <= 100,
            )


def _exit_time(python: str, *, kept: bool) -> float:
    settle = 0.5
    environ = {"LIFECYCLE_SETTLE": str(settle), "LIFECYCLE_QUIET": "0.2"}
    with running(READY, python=python, **environ) as (process, port, _):
        until_200(port, "/startup")
        sock = socket.create_connection(("127.0.0.1", port)) if kept else None
        if sock is not None:
            sock.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            sock.recv(4096)
        began = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        if process.wait(10):
            raise RuntimeError(f"exit code {process.returncode}")
        elapsed = (time.perf_counter() - began - settle) * 1000
        if sock is not None:
            sock.close()
        return elapsed


def _pythons() -> list[str]:
    """Return this Python, and each other one that CI has made an environment for."""
    others = sorted(str(path) for path in Path.cwd().glob(".venv-3.*/bin/python"))
    return [sys.executable, *others]


def _version(python: str) -> str:
    code = "import platform; print('Python', platform.python_version())"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout[
        :-1
    ]


def prestop() -> Iterator[Row]:
    """CPU time of `lifecycle prestop` itself, user and system."""
    command = shutil.which("lifecycle", path=str(Path(sys.executable).parent))
    if command is None:
        raise RuntimeError("the command is not installed beside this Python")
    environ = {"LIFECYCLE_SETTLE": "0", "LIFECYCLE_QUIET": "0"}
    times = []
    for _ in range(PRESTOPS):
        with running(READY, **environ) as (_, port, _):
            until_200(port, "/startup")
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            folder = _run_dir(port)
            subprocess.run(
                [command, "prestop", "--port", str(port)],
                check=True,
                env={**os.environ, "LIFECYCLE_RUN_DIR": folder},
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            times.append(spent * 1000)
    yield Row("lifecycle prestop, CPU", f"{median(times):.0f} ms", "<= 30 ms", median(times) <= 30)


def _run_dir(port: int) -> str:
    name = f"lifecycle-{port}.sock"
    return next(str(path.parent) for path in Path("/tmp").glob(f"*/{name}"))


def main() -> None:
    """Measure and print; the exit code says nothing about speed."""
    compiled()
    console = Console(width=None if sys.stdout.isatty() else 140)
    table = Table(title="pod-lifecycle: budgets and what was measured in this run")
    for name in ("what", "measured", "budget", ""):
        table.add_column(name)
    for part in (
        latency,
        busy,
        start,
        counting,
        listing,
        services,
        metrics,
        observed,
        load,
        servers,
        commands,
        leaving,
        prestop,
    ):
        console.print(f"measuring {part.__name__} …", style="dim")
        for row in part():
            mark = "[green]kept[/]" if row.kept else "[red]over[/]"
            table.add_row(row.what, row.measured, row.budget, mark)
    console.print(table)


if __name__ == "__main__":
    main()

"""
Requests a second of the same server with and without pod-lifecycle, measured pairwise.

It is one process, in which a lifecycle with its middleware comes and goes: two processes of the
very same program differ by more than what is looked for. It is asked in turns: without, with,
with, without (so that what drifts drifts for both), by connections that are kept and never idle.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from statistics import median, quantiles
from typing import Final, NamedTuple

from benchmarks.asking import Asking, cpu_of
from benchmarks.processes import APP, free_port, running, said, until_200

PROCESSES: Final = 3
ROUNDS: Final = 30
WINDOW: Final = 0.1
"""Seconds that it is asked for in a turn: what else the machine does changes more slowly."""
WARM: Final = 0.1
"""Seconds that it is asked for before, unmeasured: a lifecycle's start is no throughput."""

SERVED = f"""
import asyncio, os, sys
import lifecycle
from lifecycle.asgi import Middleware

PORT = int(sys.argv[1])

{APP}
"""

GRANIAN: Final = """
from granian.constants import Interfaces
from granian.server.embed import Server

async def serve(app):
    await Server(app, port=PORT, interface=Interfaces.ASGI, log_enabled=False).serve()
"""

STARLETTE: Final = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def answer(request):
    return PlainTextResponse("true")

app = Starlette(routes=[Route("/", answer)])
"""

FASTAPI: Final = """
from fastapi import FastAPI

app = FastAPI()

@app.get("/", response_model=bool)
async def answer(page: int = 1):
    return True
"""

UVICORN: Final = """
import uvicorn

async def serve(app):
    config = uvicorn.Config(app, port=PORT, log_level="warning", access_log=False)
    await uvicorn.Server(config).serve()
"""

HYPERCORN: Final = """
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config

async def serve(app):
    config = Config()
    config.bind = [f"127.0.0.1:{PORT}"]
    config.errorlog = None
    config.keep_alive_max_requests = sys.maxsize
    await hypercorn_serve(app, config)
"""

SERVERS: Final = {
    "uvicorn": UVICORN,
    "uvicorn, a FastAPI app": UVICORN + FASTAPI,
    "hypercorn": HYPERCORN,
    "granian, a FastAPI app": GRANIAN + FASTAPI,
    "granian, a Starlette app": GRANIAN + STARLETTE,
    "granian, no framework": GRANIAN,
}

MAIN = """
answering = bare = app
TURNS = int(os.environ.get("TURNS", "0"))

async def switch(scope, receive, send):
    for _ in range(TURNS):  # no time by the clock, which passes also while others have the core
        pass
    await answering(scope, receive, send)

async def turns():
    global answering
    told = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(told), sys.stdin
    )
    while what := await told.readline():
        async with lifecycle.Lifecycle(lifecycle.Config(settle=0, quiet=0)) as life:
            life.export("app", port=PORT)
            await life.ready()
            answering = Middleware(bare) if what == b"middleware\\n" else bare
            os.write(1, what)
            await told.readline()
            answering = bare
        os.write(1, b"nothing\\n")

async def main():
    async with asyncio.TaskGroup() as both:
        both.create_task(turns())
        await serve(switch)

asyncio.run(main())
"""


RUN_ASGI: Final = f"""
import os, sys

{APP}
if __name__ == "__main__":
    words = ("--asgi", "--bind", f"127.0.0.1:{{sys.argv[1]}}", "--log-level", "error", "app:app")
    server = ("--server", os.environ["SERVER"])
    os.execv(sys.executable, (sys.executable, "-m", "lifecycle", "run", *server, *words))
"""


class Measured(NamedTuple):
    """
    What the rounds have shown, a number a round each.

    Attributes:
        ratios: Requests a second with it, by those without it.
        cpu: Microseconds of CPU a request more with it: what other processes do on the machine
            disturbs this less.
        rate: Requests a second without it.
        cores: How many of the machine's the server kept busy without it.
    """

    ratios: list[float]
    cpu: list[float]
    rate: float
    cores: float

    def __str__(self) -> str:
        low, _, high = quantiles(self.ratios, n=4)
        return (
            f"{median(self.ratios):.3f} x {self.rate:,.0f}/s (quartiles {low:.3f} to {high:.3f}); "
            f"CPU a request {median(self.cpu):+.2f} us; {self.cores:.2f} cores busy"
        )


class _Server:
    """The server, and the connections to it."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self._now = "nothing"
        self._asking = Asking(port, partial(cpu_of, process.pid))

    def turn(self, to: str) -> tuple[float, float]:
        """Have it turn to "middleware", "alone" or "nothing"; returns what `ask` does."""
        if to != self._now:
            if self._process.stdin is None:
                raise TypeError("the server is told through pipes")
            self._process.stdin.write(f"{to}\n".encode())
            said(self._process, to)
            self._now = to
            self._asking.ask(WARM)
        return self._asking.ask(WINDOW)

    def close(self) -> None:
        """Close the connections."""
        self._asking.close()


@contextmanager
def _serving(name: str, turns: int) -> Iterator[_Server]:
    environ = {"LIFECYCLE_QOS_PORT": str(free_port()), "TURNS": str(turns)}
    with running(SERVED + SERVERS[name] + MAIN, piped=True, **environ) as (process, port, _):
        until_200(port, "/")
        server = _Server(process, port)
        try:
            yield server
        finally:
            server.close()


def measure(name: str, what: str = "middleware", *, turns: int = 0) -> Measured:
    """
    Measure one server.

    Args:
        name: Which of `SERVERS`.
        what: What comes and goes: a lifecycle with its "middleware", or "alone", which also tells
            what the measuring itself is worth.
    """
    rounds = []
    for _ in range(PROCESSES):
        with _serving(name, turns) as server:
            for _ in range(ROUNDS):
                order = ("nothing", what, what, "nothing")
                first, second, third, fourth = (server.turn(each) for each in order)
                rate, cpu = (sum(pair) / 2 for pair in zip(first, fourth, strict=True))
                ours = [sum(pair) / 2 for pair in zip(second, third, strict=True)]
                rounds.append((ours[0] / rate, (ours[1] - cpu) * 1e6, rate, rate * cpu))
    ratios, cpus, rates, cores = (list(column) for column in zip(*rounds, strict=True))
    return Measured(ratios, cpus, median(rates), median(cores))


@contextmanager
def _run_asgi(name: str) -> Iterator[Callable[[], tuple[float, float]]]:
    """Run one server of `run --asgi`; yields what asks it, by new connections: it ends old ones."""
    environ = {"LIFECYCLE_QOS_PORT": str(free_port()), "SERVER": name}
    with running(RUN_ASGI, **environ) as (process, port, _):
        until_200(port, "/")

        def ask() -> tuple[float, float]:
            with closing(Asking(port, partial(cpu_of, process.pid))) as asking:
                asking.ask(0)  # a connection's first request is no throughput
                return asking.ask(WINDOW)

        yield ask


def uvicorn_beside_hypercorn() -> Measured:
    """Measure `run --asgi` with both of its servers, both running and asked in turns."""
    rounds = []
    for _ in range(PROCESSES):
        with _run_asgi("hypercorn") as hypercorn, _run_asgi("uvicorn") as uvicorn:
            for _ in range(ROUNDS):
                order = (hypercorn, uvicorn, uvicorn, hypercorn)
                first, second, third, fourth = (ask() for ask in order)
                rate, cpu = (sum(pair) / 2 for pair in zip(first, fourth, strict=True))
                other = [sum(pair) / 2 for pair in zip(second, third, strict=True)]
                rounds.append((other[0] / rate, (other[1] - cpu) * 1e6, rate, rate * cpu))
    ratios, cpus, rates, cores = (list(column) for column in zip(*rounds, strict=True))
    return Measured(ratios, cpus, median(rates), median(cores))

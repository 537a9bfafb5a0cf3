"""
Requests a second of the same server with and without pod-lifecycle, measured pairwise.

Both servers are up, and are asked in turn: without, with, with, without (so that what drifts
drifts for both), again and again, by connections that are kept and never idle. Each pair of
processes is followed by a fresh one: two processes of the very same program differ by more
than what is looked for.
"""

from __future__ import annotations

import selectors
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Final, NamedTuple

from benchmarks.processes import APP, free_port, running, until_200

PAIRS: Final = 6
ROUNDS: Final = 60
WINDOW: Final = 0.04
"""Seconds that a server is asked for at a time: what else the machine does changes more slowly."""
WARM: Final = 0.5
"""Seconds that it is asked for before: its caches are warm then."""
CONNECTIONS: Final = 16
REQUEST: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY: Final = b"true"

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

SERVERS: Final = {
    "uvicorn": """
import uvicorn

async def serve(app):
    config = uvicorn.Config(app, port=PORT, log_level="warning", access_log=False)
    await uvicorn.Server(config).serve()
""",
    "hypercorn": """
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config

async def serve(app):
    config = Config()
    config.bind = [f"127.0.0.1:{PORT}"]
    config.errorlog = None
    config.keep_alive_max_requests = sys.maxsize
    await hypercorn_serve(app, config)
""",
    "granian, a FastAPI app": GRANIAN + FASTAPI,
    "granian, a Starlette app": GRANIAN + STARLETTE,
    "granian, no framework": GRANIAN,
}

MAIN = """
async def main():
    await serve(Middleware(app))

if os.environ["WITH"] == "1":
    lifecycle.run(main, config=lifecycle.Config(services=(f"app:{PORT}",)))
else:
    asyncio.run(serve(app))
"""


class Measured(NamedTuple):
    """
    What pairs have shown, a number a round each.

    Attributes:
        ratios: Requests a second with it, by those without it.
        cpu: CPU time a request with it, by that without it: what other processes do on the
            machine disturbs it less.
        rate: Requests a second without it.
    """

    ratios: list[float]
    cpu: list[float]
    rate: float

    def __str__(self) -> str:
        low, _, high = quantiles(self.ratios, n=4)
        return (
            f"{median(self.ratios):.3f} x {self.rate:,.0f}/s (quartiles {low:.3f} to {high:.3f}); "
            f"CPU a request x {median(self.cpu):.3f}"
        )


class _Server:
    """One of the two servers, and the connections to it."""

    def __init__(self, stack: ExitStack, name: str, *, with_it: bool) -> None:
        environ = {"WITH": str(int(with_it)), "LIFECYCLE_QOS_PORT": str(free_port())}
        source = SERVED + SERVERS[name] + MAIN
        process, port, _ = stack.enter_context(running(source, **environ))
        self._pid = process.pid
        until_200(port, "/")
        self._selector = stack.enter_context(selectors.DefaultSelector())
        self._socks = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            for _ in range(CONNECTIONS)
        ]
        for sock in self._socks:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(sock, selectors.EVENT_READ, sock)
        self.ask(WARM)

    def ask(self, seconds: float) -> tuple[float, float]:
        """Ask as much as it answers; returns requests a second, and CPU seconds a request."""
        count, began, spent = 0, time.perf_counter(), self._spent()
        for sock in self._socks:
            sock.sendall(REQUEST)
        asked, over = CONNECTIONS, False
        while count < asked:
            for key, _ in self._selector.select(1):
                if not (answer := key.data.recv(4096)):
                    raise ConnectionError("the server has closed a kept connection")
                if answer.endswith(BODY):
                    count += 1
                    if not over:
                        key.data.sendall(REQUEST)
                        asked += 1
            over = time.perf_counter() - began > seconds
        return count / (time.perf_counter() - began), (self._spent() - spent) / count

    def _spent(self) -> float:
        """Return the CPU seconds of its threads so far."""
        threads = Path(f"/proc/{self._pid}/task").iterdir()
        return sum(int((each / "schedstat").read_text().split()[0]) for each in threads) / 1e9


def measure(name: str, *, twice: bool = False) -> Measured:
    """
    Measure one server.

    Args:
        name: Which of `SERVERS`.
        twice: Compare it without pod-lifecycle to itself: what the measuring itself is worth.
    """
    rounds = []
    for _ in range(PAIRS):
        with ExitStack() as stack:
            without = _Server(stack, name, with_it=False)
            with_it = _Server(stack, name, with_it=not twice)
            for _ in range(ROUNDS):
                order = (without, with_it, with_it, without)
                first, second, third, fourth = (each.ask(WINDOW) for each in order)
                bare = [sum(pair) / 2 for pair in zip(first, fourth, strict=True)]
                ours = [sum(pair) / 2 for pair in zip(second, third, strict=True)]
                rounds.append((ours[0] / bare[0], ours[1] / bare[1], bare[0]))
    rates, cpu, bare_rates = (list(column) for column in zip(*rounds, strict=True))
    return Measured(rates, cpu, median(bare_rates))

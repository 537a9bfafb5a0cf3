"""
An app that is observed in every way beside one that is not: what being observed costs.

Both plugins for metrics and traces are loaded, a collector takes what they send, Prometheus
scrapes, and the page is open in a browser: `/metrics`, `/status` and `/inflight` once a second.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Final, NamedTuple

from benchmarks.processes import BARE, READY, free_port, get, rss, running, until_200
from benchmarks.throughput import Measured, measure

NONE: Final = "no:tcp,no:http,no:disk,no:memory,no:istio,no:kubernetes"
UNOBSERVED: Final = f"{NONE},no:prometheus,no:opentelemetry"
PAIRS: Final = 1500
WINDOW: Final = 1.0
"""Seconds of a turn, so that each one has as many scrapes."""
ROUNDS: Final = 10
SETTLED: Final = 3.0
"""Seconds until the plugins have imported what they import after READY."""

COLLECTOR: Final = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Collector)
print(flush=True)
server.serve_forever()
"""

OBSERVER: Final = """
import http.client, itertools, sys, time

def ask(path):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    except OSError:
        return b""
    finally:
        connection.close()

print(flush=True)
for path in itertools.cycle(("/metrics", "/status", "/inflight")):
    ask(path)
    time.sleep(1 / 3)
"""


class Cost(NamedTuple):
    """
    What was measured, with and without.

    Attributes:
        memory: MiB of an app, observed.
        without: MiB of the same app, not observed.
        live: Milliseconds of `/live` on a fresh connection, p50, observed.
        bare: The same of an app of hypercorn alone.
    """

    memory: float
    without: float
    live: float
    bare: float


@contextmanager
def _program(source: str, port: int) -> Iterator[None]:
    """Run a program until the end of the block."""
    words = [sys.executable, "-c", source, str(port)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        if process.stdout is None or not process.stdout.readline():
            raise ConnectionError("the program has not started")
        try:
            yield
        finally:
            process.kill()


@contextmanager
def _observed() -> Iterator[dict[str, str]]:
    """Run a collector, and return the variables of an app that is observed."""
    port = free_port()
    with _program(COLLECTOR, port):
        yield {
            "LIFECYCLE_PLUGINS": NONE,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        }


def cost() -> Cost:
    """Measure the memory, and `/live` in pairs with a bare app."""
    with (
        _observed() as environ,
        running(BARE) as (_, bare_port, _),
        running(READY, LIFECYCLE_PLUGINS=UNOBSERVED) as (alone, alone_port, _),
        running(READY, **environ) as (observed, port, _),
        _program(OBSERVER, port),
    ):
        for each, path in ((bare_port, "/"), (alone_port, "/startup"), (port, "/startup")):
            until_200(each, path)
        time.sleep(SETTLED)
        memory, without = rss(observed.pid), rss(alone.pid)
        pairs = [(_live(port), _live(bare_port)) for _ in range(PAIRS)]
        live, bare = (median(side) for side in zip(*pairs, strict=True))
        return Cost(memory, without, live, bare)


def _live(port: int) -> float:
    began = time.perf_counter()
    if not get(port, "/live").endswith(b"true"):
        raise ConnectionError("the probe was not answered with true")
    return (time.perf_counter() - began) * 1000


def throughput(server: str) -> Measured:
    """Requests a second of a server that is observed, by those of the same server alone."""
    port = free_port()
    with _observed() as environ, _program(OBSERVER, port):
        environ["LIFECYCLE_QOS_PORT"] = str(port)
        return measure(server, window=WINDOW, rounds_each=ROUNDS, **environ)

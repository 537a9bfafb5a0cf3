"""
An app that is observed in every way beside one that is not: what being observed costs.

Both plugins for metrics and traces are loaded. A collector takes what they send every 10 s, and
Prometheus scrapes as often, which is more often than by default. The page is open in a browser, and
asks for `/status` and `/inflight` once a second.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Final, NamedTuple

from benchmarks.asking import cpu_of
from benchmarks.processes import BARE, READY, free_port, get, rss, running, until_200

NONE: Final = "no:tcp,no:http,no:disk,no:memory,no:istio,no:kubernetes"
UNOBSERVED: Final = f"{NONE},no:prometheus,no:opentelemetry"
PAIRS: Final = 1500
EVERY: Final = 10
"""Seconds between two scrapes, and between two exports."""
IDLE: Final = 2.0 * EVERY
"""Seconds in which the apps are not asked."""
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

OBSERVER: Final = f"""
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
for path in itertools.cycle(("/metrics", *("/status", "/inflight") * {EVERY})):
    ask(path)
    time.sleep(0.5 if path != "/metrics" else 0)
"""


class Cost(NamedTuple):
    """
    What was measured, with and without.

    Attributes:
        memory: MiB of an app, observed.
        without: MiB of the same app, not observed.
        live: Milliseconds of `/live` on a fresh connection, p50, observed.
        bare: The same of an app of hypercorn alone.
        busy: Milliseconds of CPU a second that an idle app takes more, observed.
    """

    memory: float
    without: float
    live: float
    bare: float
    busy: float


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
            "OTEL_METRIC_EXPORT_INTERVAL": str(EVERY * 1000),
        }


def cost() -> Cost:
    """Measure the memory, `/live` in pairs with a bare app, and the CPU of idle apps."""
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
        began = cpu_of(observed.pid), cpu_of(alone.pid)
        time.sleep(IDLE)
        busy = cpu_of(observed.pid) - began[0] - (cpu_of(alone.pid) - began[1])
        return Cost(memory, without, live, bare, busy / IDLE * 1000)


def _live(port: int) -> float:
    began = time.perf_counter()
    if not get(port, "/live").endswith(b"true"):
        raise ConnectionError("the probe was not answered with true")
    return (time.perf_counter() - began) * 1000

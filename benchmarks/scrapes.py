"""`/metrics` of an app with 200 services and 50 probes, and `/live` beside a scraper."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median, quantiles
from typing import NamedTuple

from benchmarks.processes import get, running, until_200

SERVICES, PROBES = 200, 50
ALONE = "no:tcp,no:http,no:disk,no:memory,no:istio,no:kubernetes"
FRESH = 15
"""Scrapes that are answered anew: an answer is kept for a second."""
KEPT = 1.05
ASKED = 800
"""Probes on fresh connections, in each round."""
ROUNDS = 15

MANY = f"""
import lifecycle

class Pool:
    @lifecycle.hookimpl
    def lifecycle_readiness(self):
        return True

async def main(life):
    for number in range({PROBES}):
        life.use(Pool(), name=f"pool-{{number}}")
    for number in range({SERVICES}):
        life.export(f"orders-{{number}}", port=8080)
    await life.ready()
    await life.drained()

lifecycle.run(main)
"""
SCRAPER = """
import http.client, sys, time
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
while True:
    connection.request("GET", "/metrics", headers={"Accept": "application/openmetrics-text"})
    connection.getresponse().read()
    print(flush=True)
    time.sleep(0.1)
"""


class Cost(NamedTuple):
    """
    What was measured, in milliseconds.

    Attributes:
        fresh: A scrape that is answered anew, on a fresh connection.
        kept: A scrape that gets an answer that is kept.
        alone: p99 of `/live` without a scraper, in each round.
        scraped: The same beside ten scrapes a second.
    """

    fresh: float
    kept: float
    alone: list[float]
    scraped: list[float]

    @property
    def ratio(self) -> float:
        """How much slower `/live` is beside a scraper, at p99."""
        return median(b / a for a, b in zip(self.alone, self.scraped, strict=True))


def scraping() -> Cost:
    """Measure, in alternating rounds."""
    with running(MANY, LIFECYCLE_PLUGINS=ALONE) as (_, port, _):
        until_200(port, "/startup")
        get(port, "/ready")
        _scrape(port)  # warm
        fresh, kept = [], []
        for _ in range(FRESH):
            time.sleep(KEPT)
            fresh.append(_scrape(port))
            kept.append(_scrape(port))
        alone, scraped = [], []
        _p99(port)  # warm
        for _ in range(ROUNDS):
            alone.append(_p99(port))
            with _scraper(port):
                scraped.append(_p99(port))
    return Cost(median(fresh), median(kept), alone, scraped)


@contextmanager
def _scraper(port: int) -> Iterator[None]:
    words = [sys.executable, "-c", SCRAPER, str(port)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        if process.stdout is None or not process.stdout.readline():
            raise ConnectionError("the scraper got no answer")
        try:
            yield
        finally:
            process.kill()


def _p99(port: int) -> float:
    return quantiles((_live(port) for _ in range(ASKED)), n=100)[98]


def _live(port: int) -> float:
    began = time.perf_counter()
    if not get(port, "/live").endswith(b"true"):
        raise RuntimeError("the probe was not answered with true")
    return (time.perf_counter() - began) * 1000


def _scrape(port: int) -> float:
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/metrics", headers={"Accept": "application/openmetrics-text"})
    response = connection.getresponse()
    text = response.read()
    connection.close()
    if response.status != 200 or text.count(b"pod_lifecycle_registered{") != SERVICES:
        raise RuntimeError(f"the scrape was not answered: {text[:200]!r}")
    return (time.perf_counter() - began) * 1000

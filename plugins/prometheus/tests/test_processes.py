"""`/metrics` of real processes, and scrapers that behave badly."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from plugins.prometheus.tests.scraping import LIMIT, OPENMETRICS, Scrape, scrape
from tests.process.kit import QUICK, App, serve_asgi, wait_for

Start = Callable[..., App]

WEB = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})
"""
MANY = """
import asyncio
import lifecycle

class Plugin:
    def __init__(self, number):
        self.number = number

    @lifecycle.hookimpl
    def lifecycle_readiness(self):
        return lifecycle.ProbeResult(True, "a reason", "'x' \\n \\U0001f986")

async def main(life):
    for number in range(50):
        life.use(Plugin(number), name=f"plugin-{number}")
    for number in range(200):
        life.export(f"orders-{number}", port=8080)
    await life.ready()
    await life.drained()

lifecycle.run(main)
"""
SLOW_READERS = 40
"""Scrapers that never read, beside one that does."""


def metrics(app: App, accept: str = "") -> Scrape:
    """Scrape an app."""
    return scrape(f"http://127.0.0.1:{app.qos}/metrics", accept)


def fresh(app: App, good: Callable[[Scrape], bool]) -> Scrape:
    """Scrape until an answer is good: one is kept for a second."""
    seen: list[Scrape] = []

    def look() -> bool:
        seen.append(metrics(app))
        return good(seen[-1])

    wait_for(look, LIMIT, lambda: seen[-1].text)
    return seen[-1]


def test_requests_of_an_asgi_app_count(start: Start, tmp_path: Path) -> None:
    """Those on the app's port, and not those on the QOS port."""
    app = serve_asgi(start, tmp_path, WEB, **QUICK)
    app.wait_state("ready")
    for _ in range(5):
        assert scrape(f"http://127.0.0.1:{app.port}/orders").text == "hello"

    def all_answered(each: Scrape) -> bool:
        """A client has its response a moment before the app's call has returned."""
        return (each.value("requests_total"), each.value("in_flight")) == (5, 0)

    assert fresh(app, all_answered).value("workers") is None
    app.stop()


def test_two_hundred_services_and_fifty_probes(start: Start, tmp_path: Path) -> None:
    """All are there, with names as hostile as they may be."""
    app = start(MANY, env=QUICK)
    app.wait_state("ready")
    assert app.get("/ready")[0] == 200

    found = metrics(app, OPENMETRICS)
    assert len(found.labels("registered")) == 200
    probes = {each["probe"] for each in found.labels("probe_ok")}
    assert r"plugin-7.'x' \n 🦆" in probes
    assert len(found.labels("probe_seconds_count")) == 50
    app.stop()


def test_scrapers_that_never_read_hold_up_no_drain(start: Start, tmp_path: Path) -> None:
    """Nor the probes, nor another scraper; they are cut off at the end."""
    app = start(MANY, env=QUICK)
    app.wait_state("ready")
    assert app.get("/ready")[0] == 200
    with ExitStack() as stack:
        for _ in range(SLOW_READERS):
            one = stack.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            one.connect(("127.0.0.1", app.qos))
            one.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 50)
        assert app.get("/live")[:2] == (200, "true")
        assert metrics(app).value("ready") == 1
        took = app.stop()
    assert took < float(QUICK["LIFECYCLE_GRACE_PERIOD"]) - 0.5
    assert not [each for each in app.events() if each.get("level") == "error"], app.stderr


def test_a_scrape_of_an_app_that_blocks_its_loop(start: Start, tmp_path: Path) -> None:
    """It is answered while the loop is blocked, and then shows for how long it was."""
    blocking = """
import time
import lifecycle

async def main(life):
    await life.ready()
    time.sleep(1.5)
    print("unblocked", flush=True)
    await life.drained()

lifecycle.run(main)
"""
    app = start(blocking, env=QUICK)
    app.wait_state("ready")
    assert metrics(app).value("state", state="ready") == 1
    assert "unblocked" not in app.stdout

    found = fresh(app, lambda each: each.value("loop_lag_seconds") > 1)
    assert found.value("loop_lag_seconds") < LIMIT
    app.stop()


def test_a_collector_that_hangs_does_not_hold_up_a_drain(start: Start, tmp_path: Path) -> None:
    """Its thread is left behind, and the process leaves with 0."""
    hanging = """
import threading
import lifecycle
from prometheus_client import REGISTRY

class Hanging:
    def describe(self):
        return ()

    def collect(self):
        threading.Event().wait()

REGISTRY.register(Hanging())

async def main(life):
    await life.ready()
    await life.drained()

lifecycle.run(main)
"""
    app = start(hanging, env=QUICK | {"LIFECYCLE_PROMETHEUS_APP_METRICS": "true"})
    app.wait_state("ready")
    found = metrics(app)
    assert found.value("ready") == 1
    assert app.stop() < LIMIT
    [warning] = app.events("app metrics")
    assert warning["problem"] == "The app's collectors gave no metrics for 2 s."
    assert json.dumps(warning)


def test_frequent_scrapes_cost_nothing(start: Start, tmp_path: Path) -> None:
    """Many in a second share one answer."""
    app = start(MANY, env=QUICK)
    app.wait_state("ready")
    metrics(app)
    began, texts = time.monotonic(), []
    while time.monotonic() - began < 1 and len(texts) < 50:
        texts.append(metrics(app).text)
    assert len({*texts}) <= 3
    app.stop()

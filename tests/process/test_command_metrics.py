"""`/metrics` of a command with workers: their requests, and their own metrics, in one place."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.prometheus.tests.scraping import LIMIT, Scrape, scrape
from tests.process.kit import QUICK, App, free_port, wait_for

Start = Callable[..., App]

SHOP = """
import os
from prometheus_client import Counter, Gauge

ORDERS = Counter("shop_orders", "Orders.")
CARTS = Gauge("shop_carts", "Carts.", multiprocess_mode="livesum")
CARTS.set(1)

def app(environ, start_response):
    if environ["PATH_INFO"] == "/pid":
        body = str(os.getpid()).encode()
    else:
        ORDERS.inc()
        body = b"hello"
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def fresh(app: App, good: Callable[[Scrape], bool]) -> Scrape:
    """Scrape until an answer is good: one is kept for a second."""
    seen: list[Scrape] = []

    def look() -> bool:
        seen.append(scrape(f"http://127.0.0.1:{app.qos}/metrics"))
        return good(seen[-1])

    wait_for(look, LIMIT, lambda: seen[-1].text)
    return seen[-1]


@pytest.fixture
def gunicorn(start: Start, tmp_path: Path) -> App:
    """Gunicorn with two workers under `lifecycle run`, with the metrics of its app."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    (tmp_path / "shop.py").write_text(SHOP)
    port = str(free_port())
    words = f"-m lifecycle run --service shop:{port} -- gunicorn -w 2 -b 127.0.0.1:{port} shop:app"
    env = {
        "PORT": port,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PROMETHEUS_MULTIPROC_DIR": str(folder),
        "LIFECYCLE_PROMETHEUS_APP_METRICS": "true",
    }
    app = start(words.split(), env=QUICK | env)
    app.wait_state("ready")
    wait_for(lambda: len((app.status() or {})["workers"]) == 2, LIMIT, lambda: app.stderr)
    return app


def test_a_command_with_workers(gunicorn: App) -> None:
    """Their requests, and the app's own metrics of all of them, on the port of the parent."""
    app = gunicorn
    for _ in range(8):
        assert scrape(f"http://127.0.0.1:{app.port}/").text == "hello"

    found = fresh(app, lambda each: each.value("requests_total") == 8)
    assert found.value("workers") == 2
    assert found.samples["shop_orders_total",] == 8
    assert found.samples["shop_carts",] == 2
    assert found.value("loop_lag_seconds") < LIMIT
    app.stop()


def test_a_worker_that_dies_takes_no_request_with_it(gunicorn: App) -> None:
    """The counters go on: Prometheus would take a smaller number for a new start from zero."""
    app = gunicorn
    for _ in range(8):
        assert scrape(f"http://127.0.0.1:{app.port}/").text == "hello"
    fresh(app, lambda each: each.value("requests_total") == 8)
    victim = int(scrape(f"http://127.0.0.1:{app.port}/pid").text)
    os.kill(victim, signal.SIGKILL)

    def replaced() -> bool:
        pids = {each["pid"] for each in (app.status() or {})["workers"]}
        return len(pids) == 2 and victim not in pids

    wait_for(replaced, LIMIT, lambda: app.stderr)
    assert scrape(f"http://127.0.0.1:{app.port}/").text == "hello"
    found = fresh(app, lambda each: each.value("requests_total") == 10)
    assert found.value("workers") == 2
    assert found.samples["shop_orders_total",] == 9
    assert found.samples["shop_carts",] == 2  # a live gauge: only of those that live
    app.stop()

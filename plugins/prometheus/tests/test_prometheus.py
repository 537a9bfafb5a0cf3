"""A real Prometheus, and the linter that comes with it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from lifecycle_prometheus.families import families
from lifecycle_prometheus.formats import Format, written

from plugins.prometheus.tests.scraping import LIMIT, scrape
from plugins.prometheus.tests.server import Prometheus, prometheus, promtool, target
from plugins.prometheus.tests.snapshots import probe, runs, service, snapshot, worker
from plugins.prometheus.tests.test_families import HOSTILE
from plugins.prometheus.tests.test_formats import SNAPSHOTS
from tests.process.kit import App, serve_asgi, wait_for

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus")

Start = Callable[..., App]

WEB = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})
"""
TIMES = {
    "LIFECYCLE_SETTLE": "4",
    "LIFECYCLE_QUIET": "0.2",
    "LIFECYCLE_STOP_TIMEOUT": "1",
    "LIFECYCLE_GRACE_PERIOD": "15",
}


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_promtool_has_no_complaint(name: str) -> None:
    """About names, types and help texts."""
    found = SNAPSHOTS[name]
    made = families(found, is_command=bool(found["workers"]))

    assert promtool("check", "metrics", text=written(made, Format.TEXT)) == ""


def test_a_rollout_as_prometheus_sees_it(start: Start, tmp_path: Path) -> None:
    """READY, requests, a drain, and its end: from a real app, by negotiation of OpenMetrics."""
    app = serve_asgi(start, tmp_path, WEB, "--service", "orders", **TIMES)
    app.wait_state("ready")
    assert app.get("/ready")[0] == 200
    with prometheus(tmp_path, {"orders-1": f"http://127.0.0.1:{app.qos}/metrics"}) as server:
        server.until('up == 1 and on (pod) pod_lifecycle_state{state="ready"} == 1')
        for _ in range(20):
            scrape(f"http://127.0.0.1:{app.port}/orders")
        server.until("pod_lifecycle_requests_total == 20")
        [(labels, _)] = server.query('pod_lifecycle_registered{service="orders"} == 1')
        assert labels["registry"] == "local"
        assert _type_of(server, "pod_lifecycle_requests") == "counter"  # its name in OpenMetrics
        assert _type_of(server, "pod_lifecycle_registration_seconds") == "histogram"

        app.signal(signal.SIGTERM)
        app.wait_state("draining")
        scrape(f"http://127.0.0.1:{app.port}/orders")
        assert app.wait() == 0, app.stderr
        server.until("up == 0")
        for seen in (
            'max_over_time(pod_lifecycle_state{state="draining"}[1m]) == 1',
            "max_over_time(pod_lifecycle_connections_told_to_go_total[1m]) == 1",
            "max_over_time(pod_lifecycle_drain_seconds[1m]) > 2",
            "min_over_time(pod_lifecycle_ready[1m]) == 0",
        ):
            assert server.query(seen), seen


def _type_of(server: Prometheus, metric: str) -> str:
    def found() -> str:
        (kind,) = {
            each["type"]
            for each in server.ask("metadata", metric=metric).get(metric, [{"type": ""}])
        }
        return str(kind)

    return wait_for(found, LIMIT, metric)


def test_hostile_names_reach_prometheus_as_they_are(tmp_path: Path) -> None:
    """Quotes, line feeds and emoji in names: every series is there, and none beside it."""
    hostile = snapshot(
        services=[service(name, **{name or "r": "yes"}) for name in HOSTILE],
        probes=[probe(name) for name in HOSTILE],
        probe_runs=[runs(kind="liveness", plugin=name) for name in HOSTILE],
        workers=[worker(7)],
    )

    def page() -> str:
        return written(families(hostile, is_command=True), Format.TEXT)

    assert promtool("check", "metrics", text=page()) == ""
    with target(page) as url, prometheus(tmp_path, {"orders-1": url}) as server:
        server.until("up == 1")
        found = {labels["service"] for labels, _ in _all(server, "pod_lifecycle_registered")}
        assert {'quoted "name"', "two\nlines", "🦆 Ente", "back\\slash\\n"} <= found
        assert len(found) == len(HOSTILE) - 1  # a label without a value is no label
        assert len(_all(server, "pod_lifecycle_probe_ok")) == len(HOSTILE)
        assert len(_all(server, "pod_lifecycle_ready")) == 1


def _all(server: Prometheus, metric: str) -> list[tuple[dict[str, str], float]]:
    return [
        ({"service": "", **labels}, value)
        for labels, value in server.until(metric)
        if metric != "pod_lifecycle_registered" or labels.get("service")
    ]

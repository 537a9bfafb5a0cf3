"""`GET /metrics` on a real QOS port."""

from __future__ import annotations

import asyncio
import platform
import threading

import pytest
from lifecycle_prometheus import Collector
from lifecycle_prometheus.plugin import KEPT, MetricsPage
from prometheus_client import CollectorRegistry, generate_latest

import lifecycle
from plugins.prometheus.tests.scraping import LIMIT, OPENMETRICS, scrape, scraped

FORWARDED = {"X-Forwarded-For": "10.0.0.7"}
"""A caller that comes from elsewhere."""
PATHS = 100_000


async def ready(life):
    """Make it READY with a service, and ask its probes as the kubelet does."""
    life.export("orders", port=8080)
    await life.ready()
    await asyncio.to_thread(scrape, f"{life.qos_url}/ready")


def test_the_metrics_of_an_app(play):
    """Its state, its services, its probes, and what is in flight."""

    async def scenario(life):
        life.readiness(postgres)
        await ready(life)
        with life.track(path="/orders"):
            found = await scraped(life)
        assert (found.status, found.content_type) == (
            200,
            "text/plain; version=0.0.4; charset=utf-8",
        )
        assert found.value("state", state="ready") == 1
        assert (
            found.value("info", version=lifecycle.__version__, python=platform.python_version())
            == 1
        )
        assert found.value("ready") == 1
        assert found.value("in_flight") == 1
        assert found.value("requests_total") == 1
        assert found.value("connections_told_to_go_total") == 0
        assert found.value("probe_ok", kind="readiness", probe="postgres") == 1
        assert found.value("probe_seconds_count", kind="readiness", probe="postgres") == 1
        assert found.value("registered", service="orders", registry="local") == 1
        assert found.value("registration_seconds_count", registry="local") == 1
        assert found.value("loop_lag_seconds") < LIMIT
        assert found.value("drain_seconds") == 0

    def postgres():
        return True

    play(scenario)


def test_openmetrics_by_negotiation(play):
    """The same, for a client that prefers it, as Prometheus does."""

    async def scenario(life):
        await ready(life)
        text, openmetrics = await scraped(life), await scraped(life, OPENMETRICS)
        assert openmetrics.content_type == (
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        )
        assert openmetrics.text.endswith("\n# EOF\n")
        assert text.samples.keys() == openmetrics.samples.keys()

    play(scenario)


def test_a_drain_is_seen_from_its_first_moment_to_its_end(play):
    """Not ready at once; and the port answers until the app has left."""

    async def scenario(life):
        await ready(life)
        with life.track():
            life.begin_drain("the test")
            await life.reached(lifecycle.State.DRAINING)
            found = await scraped(life)
        assert (found.value("ready"), found.value("state", state="draining")) == (0, 1)
        assert found.value("in_flight") == 1
        assert found.value("drain_seconds") >= 0
        await life.drained()

    play(scenario)


def test_a_blocked_event_loop_delays_no_scrape(play):
    """The answer comes while the loop is still blocked, and shows that it is."""

    async def scenario(life):
        await ready(life)
        free, found = threading.Event(), []

        def elsewhere():
            try:
                found.append(scrape(f"{life.qos_url}/metrics"))
            finally:
                free.set()

        thread = threading.Thread(target=elsewhere)
        thread.start()
        assert free.wait(LIMIT)  # blocks the loop until the answer is there
        thread.join(LIMIT)
        assert found[0].value("state", state="ready") == 1

    play(scenario)


def test_an_answer_is_kept_for_a_second(play):
    """So a scraper costs nothing, however often it comes; each format is kept for itself."""

    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    class Counted:
        def __init__(self, life):
            self.life, self.asked = life, 0

        def snapshot(self):
            self.asked += 1
            return self.life.snapshot()

    async def scenario(life):
        await ready(life)
        counted, clock = Counted(life), Clock()
        page = MetricsPage(counted, clock=clock)

        def ask(accept=""):
            request = lifecycle.Request({}, "", lifecycle.Level.PUBLIC, asyncio.sleep, accept)
            return page.answer(request).body

        first = ask()
        with life.track():
            assert [ask() for _ in range(10)] == [first] * 10
            assert counted.asked == 1
            assert ask(OPENMETRICS) != first
            assert counted.asked == 2
            clock.now += KEPT
            assert ask() != first
        assert counted.asked == 3

    play(scenario)


LEVELS = [("public", 200, 200), ("protected", 200, 403), ("private", 403, 403)]


@pytest.mark.parametrize(("level", "here", "elsewhere"), LEVELS)
def test_the_level_is_an_option(play, variables, level, here, elsewhere):
    """Public unless it says otherwise: Prometheus comes from outside the pod."""

    async def scenario(life):
        assert (await scraped(life)).status == here
        assert (await scraped(life, **FORWARDED)).status == elsewhere

    variables(LIFECYCLE_PROMETHEUS_LEVEL=level)
    play(scenario)


def test_a_level_that_does_not_exist(variables):
    """The error names the variable, and the levels."""
    variables(LIFECYCLE_PROMETHEUS_LEVEL="secret")

    async def main():
        async with lifecycle.Lifecycle(lifecycle.Config(qos_port=0)):
            pass

    with pytest.raises(lifecycle.ConfigError) as error:
        asyncio.run(main())
    assert "level='secret': must be public, protected or private" in str(error.value)
    assert "LIFECYCLE_PROMETHEUS_LEVEL" in str(error.value)


def test_only_get(play):
    """And HEAD, without a body."""

    async def scenario(life):
        def head():
            import http.client

            connection = http.client.HTTPConnection(life.qos_url.removeprefix("http://"))
            found = []
            for method in ("HEAD", "POST"):
                connection.request(method, "/metrics")
                response = connection.getresponse()
                found.append((response.status, response.getheader("Content-Type", "")[:10]))
                response.read()
            connection.close()
            return found

        assert await asyncio.to_thread(head) == [(200, "text/plain"), (405, "text/plain")]

    play(scenario)


def test_what_clients_choose_makes_no_series(play):
    """A hundred thousand paths, with methods and agents: the same series as before."""

    async def scenario(life):
        await ready(life)
        before = await scraped(life)
        for number in range(PATHS):
            with life.track(f"agent-{number}", f"/orders/{number}", f"M{number % 50}"):
                pass
        accept = f"{OPENMETRICS};x={'y' * 1000}"  # no answer in this format is kept
        after = await scraped(life, accept, **{"User-Agent": "agent-" * 100})
        assert after.value("requests_total") == PATHS
        assert after.samples.keys() == before.samples.keys()
        assert abs(len(after.text) - len(before.text)) < 200
        assert "agent-" not in after.text

    play(scenario)


def test_an_app_with_a_page_of_its_own_registers_the_collector(play):
    """With its own registry: not read when it is registered, and empty when nothing runs."""
    registry = CollectorRegistry(auto_describe=True)
    registry.register(Collector())
    assert generate_latest(registry) == b""

    async def scenario(life):
        await ready(life)
        text = (await asyncio.to_thread(generate_latest, registry)).decode()
        assert 'pod_lifecycle_state{state="ready"} 1.0\n' in text

    play(scenario)
    assert generate_latest(registry) == b""

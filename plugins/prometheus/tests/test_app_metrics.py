"""The app's own metrics on the same page: there if wanted, and never in the way of ours."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from lifecycle_prometheus.app_metrics import FOLDER, AppMetrics
from lifecycle_prometheus.formats import Format
from prometheus_client import REGISTRY, Counter
from prometheus_client.core import GaugeMetricFamily

from plugins.prometheus.tests.scraping import LIMIT, OPENMETRICS, scraped

WORKER = """
import sys
from prometheus_client import Counter, Gauge
Counter("shop_orders", "Orders.").inc(3)
Gauge("shop_carts", "Carts.", multiprocess_mode="livesum").set(2)
print("counted", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def collector():
    """Register a collector of a function in the default registry, and remove it again."""
    registered = []

    class Own:
        def __init__(self, collect):
            self.collect = collect

        def describe(self):
            return ()

    def register(collect):
        registered.append(Own(collect))
        REGISTRY.register(registered[-1])

    yield register
    for each in registered:
        REGISTRY.unregister(each)


class Log:
    """What was logged."""

    def __init__(self):
        self.problems = []

    def warning(self, event, **fields):
        assert event == "app metrics"
        assert fields["see"].endswith("errors.md#app-metrics-missing")
        self.problems.append(fields["problem"])


def test_they_are_on_the_page_if_the_option_says_so(play, variables, collector):
    """In both formats, behind ours; without it they are not."""
    collector(lambda: [GaugeMetricFamily("shop_carts", "Carts.", value=7)])

    async def with_them(life):
        await life.ready()
        for accept in ("", OPENMETRICS):
            found = await scraped(life, accept)
            assert found.samples["shop_carts",] == 7
            assert ("python_info" in {name for name, *_ in found.samples}) is True
            assert found.value("ready") == 1

    async def without(life):
        await life.ready()
        assert "shop_carts" not in (await scraped(life)).text

    play(without)
    variables(LIFECYCLE_PROMETHEUS_APP_METRICS="true")
    play(with_them)


def test_a_collector_that_raises_leaves_ours(play, variables, collector):
    """With a warning, once, and again after it has worked meanwhile."""
    broken = [True]

    def collect():
        if broken[0]:
            raise OSError("the database is away\nand more")
        return []

    collector(collect)
    log = Log()
    metrics = AppMetrics(log)
    for _ in range(3):
        assert metrics.text(Format.TEXT, of_a_command=False) == ""
    broken[0] = False
    assert "python_info" in metrics.text(Format.OPENMETRICS, of_a_command=False)
    broken[0] = True
    assert metrics.text(Format.TEXT, of_a_command=False) == ""
    problem = "The app's metrics raised OSError: the database is away\nand more"
    assert log.problems == [problem, problem]


def test_a_collector_that_hangs_leaves_ours(collector):
    """It is waited for once, and not started a second time while it hangs."""
    free, started = threading.Event(), []

    def collect():
        started.append(threading.current_thread())
        assert free.wait(LIMIT)
        return []

    collector(collect)
    log = Log()
    metrics = AppMetrics(log, longest=0.05)
    assert metrics.text(Format.TEXT, of_a_command=False) == ""
    assert metrics.text(Format.TEXT, of_a_command=False) == ""
    assert len(started) == 1
    assert log.problems == ["The app's collectors gave no metrics for 0.05 s."]
    free.set()
    started[0].join(LIMIT)
    assert "python_info" in AppMetrics(log).text(Format.TEXT, of_a_command=False)


def test_a_hanging_collector_does_not_take_the_page_with_it(play, variables, collector):
    """Ours are complete, and the end of the format is there."""
    free = threading.Event()

    def collect():
        assert free.wait(LIMIT)
        return []

    collector(collect)

    async def scenario(life):
        await life.ready()
        try:
            found = await scraped(life, OPENMETRICS)
        finally:
            free.set()
        assert found.value("state", state="ready") == 1
        assert "python_info" not in found.text

    variables(LIFECYCLE_PROMETHEUS_APP_METRICS="true")
    play(scenario)


class Unprintable(Exception):
    """Cannot be shown."""

    def __str__(self):
        raise OSError


HOSTILE = [
    ("times out", lambda: (_ for _ in ()).throw(TimeoutError())),
    ("cannot be shown", lambda: (_ for _ in ()).throw(Unprintable())),
    ("raises what is no exception", lambda: (_ for _ in ()).throw(SystemExit(3))),
    ("half of a pair", lambda: [GaugeMetricFamily("shop_\ud800", "", value=1)]),
    ("nothing", lambda: None),
    ("no number", lambda: [GaugeMetricFamily("shop", "", value="many")]),
]


@pytest.mark.parametrize(("name", "collect"), HOSTILE)
def test_whatever_a_collector_gives(collector, name, collect):
    """No metrics and a warning; the scrape goes on."""
    collector(collect)
    log = Log()
    assert AppMetrics(log).text(Format.TEXT, of_a_command=False) == ""
    assert len(log.problems) == 1


def test_metrics_with_our_names_are_left_out(collector):
    """An app may have registered our collector too, and a name must not come twice."""
    collector(lambda: [GaugeMetricFamily("pod_lifecycle_ready", "", value=9)])

    assert "pod_lifecycle" not in AppMetrics(Log()).text(Format.TEXT, of_a_command=False)


@pytest.fixture
def worker(tmp_path):
    """Start processes of an app that share a folder for their metrics."""
    running = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {FOLDER: str(tmp_path)},
        )
        running.append(process)
        assert process.stdout.readline() == b"counted\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate(timeout=LIMIT)


@pytest.mark.parametrize("format_", Format)
def test_the_processes_of_a_command_share_theirs(worker, tmp_path, variables, format_):
    """Their sums; of a process that has died, its counters, and not its live gauges."""
    variables(**{FOLDER: tmp_path})
    worker()
    two = worker()
    metrics = AppMetrics(Log())

    both = metrics.text(format_, of_a_command=True)
    assert "shop_orders_total 6.0\n" in both
    assert "shop_carts 4.0\n" in both
    two.kill()
    two.wait(LIMIT)
    left = metrics.text(format_, of_a_command=True)
    assert "shop_orders_total 6.0\n" in left
    assert "shop_carts 2.0\n" in left


def test_processes_without_a_folder(variables):
    """The metrics of this process would be those of `lifecycle run`, and not the app's."""
    log = Log()

    assert AppMetrics(log).text(Format.TEXT, of_a_command=True) == ""
    [problem] = log.problems
    assert "PROMETHEUS_MULTIPROC_DIR" in problem


def test_a_folder_that_does_not_exist(variables, tmp_path):
    """As the library says it."""
    log = Log()
    variables(**{FOLDER: tmp_path / "nowhere"})

    assert AppMetrics(log).text(Format.TEXT, of_a_command=True) == ""
    [problem] = log.problems
    assert "not a directory" in problem


def test_a_counter_of_the_app_counts(play, variables):
    """The usual way: a metric of the default registry."""
    orders = Counter("shop_orders", "Orders.")

    async def scenario(life):
        await life.ready()
        orders.inc(2)
        found = await scraped(life, OPENMETRICS)
        assert found.samples["shop_orders_total",] == 2

    variables(LIFECYCLE_PROMETHEUS_APP_METRICS="true")
    try:
        play(scenario)
    finally:
        REGISTRY.unregister(orders)

"""A collector that is away or silent, and an exporter that raises: the drain is on time."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from plugins.opentelemetry.tests.hosts import HOSTS, SETUP, run
from plugins.opentelemetry.tests.receiver import LIMIT, Receiver, receiver
from tests.process.kit import QUICK, App, free_port, wait_for

Start = Callable[..., App]

EVENT = "opentelemetry"
STOP = 1.0
"""Seconds of the share of the `lifecycle_stop` hooks: `stop_timeout` of QUICK."""
SOONER = 4.0
"""Seconds in which the app must be gone: well before its grace period of 6 s is over."""
NEVER_READY = """
import lifecycle

async def main(life):
    raise RuntimeError("no database")

lifecycle.run(main)
"""
BROKEN = """
from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.sdk.trace.export import SpanExporter

class Broken(SpanExporter):
    def export(self, spans):
        raise RuntimeError("the exporter is broken")

class BrokenMetrics(MetricExporter):
    def export(self, data, timeout_millis=0, **kwargs):
        raise RuntimeError("the exporter is broken")

    def force_flush(self, timeout_millis=0):
        return True

    def shutdown(self, timeout_millis=0, **kwargs):
        raise RuntimeError("and cannot be shut down")
"""


class Away(NamedTuple):
    """A collector that does not work, and how to wait until an app has tried to reach it."""

    port: int
    was_tried: Callable[[App], object]
    refuses: bool

    @property
    def env(self) -> dict[str, str]:
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "0.5" if self.refuses else "10",
        }


@contextmanager
def away() -> Iterator[Away]:
    """A collector that refuses connections."""
    yield Away(
        free_port(), lambda app: wait_for(lambda: app.events(EVENT), LIMIT, "a warning"), True
    )


@contextmanager
def silent() -> Iterator[Away]:
    """A collector that accepts connections and never answers."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
        listener.settimeout(LIMIT)
        port = listener.getsockname()[1]
        yield Away(port, lambda _: stack.enter_context(listener.accept()[0]), False)


def ended(app: App, codes: tuple[int, ...] = (0,)) -> float:
    """End an app; seconds."""
    at = app.signal(signal.SIGTERM)
    assert app.wait() in codes, app.stderr
    return time.monotonic() - at


def assert_plain(app: App, *what: str) -> None:
    """There is one warning for each, and nothing else that is odd."""
    told = {each["what"]: each["problem"] for each in app.events("opentelemetry")}
    assert {*told} == {*what}, app.stderr
    assert len(app.events("opentelemetry")) == len(what), app.stderr
    assert all(problem and len(problem) <= 500 for problem in told.values())
    for noise in ("Traceback", "Transient error", "Failed to export", "urllib3", "Exception while"):
        lines = [line for line in app.stderr.splitlines() if noise in line]
        assert not [line for line in lines if '"event": "opentelemetry"' not in line], app.stderr
    assert not app.events("plugin"), app.stderr
    [report] = app.events("drain report")
    assert report["code"] == 0
    assert "waited_for" not in report


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("collector", [away, silent])
def test_a_collector_that_does_not_answer(
    collector: Callable[[], AbstractContextManager[Away]],
    protocol: str,
    start: Start,
    tmp_path: Path,
) -> None:
    """The app leaves within the share of the hooks, with 0, and a warning each."""
    with collector() as one:
        env = one.env | {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
        app = run(HOSTS["run"], start, tmp_path, **QUICK, **env)
        one.was_tried(app)
        took = ended(app)
    assert took < SOONER
    assert_plain(app, "spans", "metrics")


@pytest.mark.parametrize("collector", [away, silent])
def test_the_apps_own_exporter_does_not_hold_up_the_drain(
    collector: Callable[[], AbstractContextManager[Away]], start: Start, tmp_path: Path
) -> None:
    """Nor the exit, by the exit handler of the SDK."""
    with collector() as one:
        env = one.env | {"OWN_PROVIDER": "1", "OTEL_EXPORTER_OTLP_TIMEOUT": "10"}
        env |= {"OTEL_METRICS_EXPORTER": "none"}
        app = run(HOSTS["run"], start, tmp_path, **QUICK, **env)
        took = ended(app)
    assert took < SOONER, app.stderr
    assert_plain(app, "the app's spans")
    [report] = app.events("drain report")
    assert report["steps"]["flush"] - report["steps"]["stop"] < STOP + 1


def test_an_exporter_that_raises(start: Start, tmp_path: Path) -> None:
    """Its error is in the warning, and not as a traceback."""
    (tmp_path / "broken.py").write_text(BROKEN)
    points = tmp_path / "broken-1.dist-info"
    points.mkdir()
    (points / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (points / "entry_points.txt").write_text(
        "[opentelemetry_traces_exporter]\nbroken = broken:Broken\n"
        "[opentelemetry_metrics_exporter]\nbroken = broken:BrokenMetrics\n"
    )
    env = {"OTEL_TRACES_EXPORTER": "broken", "OTEL_METRICS_EXPORTER": "broken"}
    app = run(HOSTS["run"], start, tmp_path, **QUICK, **env)
    assert ended(app) < SOONER
    assert_plain(app, "spans", "metrics")
    for each in app.events("opentelemetry"):
        assert "RuntimeError: the exporter is broken" in each["problem"]


def test_an_exporter_that_is_not_installed(start: Start, tmp_path: Path) -> None:
    """The app runs, and the warning has the command."""
    env = {"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_METRICS_EXPORTER": "none"}
    app = run(HOSTS["run"], start, tmp_path, **QUICK, **env)
    assert ended(app) < SOONER
    assert_plain(app, "spans")
    [warning] = app.events("opentelemetry")
    assert warning["problem"].startswith("The exporter 'zipkin' for spans is not installed.")
    assert warning["see"].endswith("errors.md#telemetry-not-sent")


def test_the_start_is_sent_later_if_the_collector_was_away(start: Start, tmp_path: Path) -> None:
    """With the drain."""
    port = free_port()
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "0.5",
        "OTEL_METRICS_EXPORTER": "none",
    }
    app = run(HOSTS["run"], start, tmp_path, **QUICK, **env)
    wait_for(lambda: app.events("opentelemetry"), LIMIT, lambda: app.stderr)
    with receiver(port) as collector:
        assert ended(app) < SOONER
    assert {"lifecycle start", "lifecycle drain"} <= {*collector.names()}
    warning, good = app.events("opentelemetry")
    assert (warning["level"], good["level"]) == ("warning", "info")


def test_a_start_that_fails(start: Start, collector: Receiver) -> None:
    """Both traces are errors, and are sent."""
    app = start(NEVER_READY, env=QUICK | collector.env())
    assert app.wait() == 1
    began, drained = collector.span("lifecycle start"), collector.span("lifecycle drain")
    assert began.error.startswith("The app did not become READY: ")
    assert drained.error == "Exit code 1"
    assert drained.links == [began.span_id]


@pytest.mark.parametrize("enabled", ["auto", "true"])
def test_without_variables_nothing_of_opentelemetry_is_imported(enabled: str, start: Start) -> None:
    """Neither at the start, nor at the end."""
    source = """
import sys
import lifecycle

class Last:
    @lifecycle.hookimpl
    def lifecycle_transition(self, transition):
        if transition.after.value == "stopped":
            print([name for name in sys.modules if name.startswith("opentelemetry")], flush=True)

async def main(life):
    await life.ready()
    await life.drained()

lifecycle.run(main, plugins=[Last()])
"""
    app = start(source, env=QUICK | {"LIFECYCLE_OPENTELEMETRY_ENABLED": enabled})
    app.wait_state("ready")
    app.stop()
    assert app.stdout.strip() == "[]"
    assert not app.events("opentelemetry"), app.stderr


@pytest.mark.parametrize("own", ["", "1"])
def test_an_app_that_ends_at_once(
    own: str, start: Start, collector: Receiver, tmp_path: Path
) -> None:
    """READY and its end come before OpenTelemetry is imported; both traces are sent once."""
    source = """
import lifecycle
import setup

async def main(life):
    await life.ready()

lifecycle.run(main)
"""
    (tmp_path / "setup.py").write_text(SETUP)
    env = {"OWN_PROVIDER": own, "PYTHONPATH": str(tmp_path), "LIFECYCLE_STOP_TIMEOUT": "3"}
    app = start(source, env=QUICK | {"LIFECYCLE_GRACE_PERIOD": "10"} | env | collector.env())
    assert app.wait() == 0
    assert collector.names().count("lifecycle start") == 1
    assert collector.names().count("lifecycle drain") == 1


def test_work_that_is_cut_off(start: Start, collector: Receiver) -> None:
    """The drain is an error, and says how much was cut off."""
    source = """
import asyncio
import lifecycle

async def work(life):
    with life.track(name="import 7"):
        await asyncio.sleep(60)

async def main(life):
    task = asyncio.create_task(work(life))
    await life.ready()
    await life.drained()

lifecycle.run(main)
"""
    env = {"LIFECYCLE_GRACE_PERIOD": "5", "LIFECYCLE_STOP_TIMEOUT": "2"}
    app = start(source, env=QUICK | env | collector.env())
    app.wait_state("ready")
    app.signal(signal.SIGTERM)
    assert app.wait() == 124, app.stderr
    drained = collector.span("lifecycle drain")
    assert drained.error.startswith("Exit code 124. Cut off: ")
    assert drained.attributes["pod_lifecycle.cut_off"] >= 1

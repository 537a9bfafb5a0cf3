"""The processors of the app: one that hangs or fails takes nothing from the others."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from lifecycle_opentelemetry.app_flush import FAILED, AppFlush
from lifecycle_opentelemetry.flushing import Ending, side_by_side
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from plugins.opentelemetry.tests.receiver import Receiver
from plugins.opentelemetry.tests.test_outages import SOONER, silent
from tests.process.kit import QUICK, App

APP = """
import os
import lifecycle
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

class Raising(SpanExporter):
    def export(self, spans):
        raise RuntimeError("one batch is refused")

class File(SpanProcessor):
    def shutdown(self):
        print("the file is closed", flush=True)

bad = OTLPSpanExporter(os.environ["SILENT"]) if "SILENT" in os.environ else Raising()
provider = TracerProvider()
for exporter in (bad, OTLPSpanExporter()):
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=60_000))
provider.add_span_processor(File())
trace.set_tracer_provider(provider)

async def main(life):
    await life.ready()
    await life.drained()
    with trace.get_tracer("shop").start_as_current_span("last words"):
        pass

lifecycle.run(main)
"""


def ended(app: App) -> float:
    """End an app; seconds."""
    app.wait_state("ready")
    at = app.signal(signal.SIGTERM)
    assert app.wait() == 0, app.stderr
    return time.monotonic() - at


def test_one_that_hangs(start: Callable[..., App], collector: Receiver) -> None:
    """The next ones are flushed, and shut down at the exit. That one is left behind."""
    with silent() as one:
        env = {"SILENT": f"http://127.0.0.1:{one.port}", "OTEL_METRICS_EXPORTER": "none"}
        app = start(APP, env=QUICK | collector.env() | env)
        assert ended(app) < SOONER
    assert {"last words", "lifecycle drain"} <= {*collector.names()}
    assert app.stdout.splitlines() == ["the file is closed"]
    [warning] = app.events("opentelemetry")
    assert warning["what"] == "the app's spans"
    assert warning["problem"].startswith("No answer for ")


def test_one_that_fails_at_once(start: Callable[..., App], collector: Receiver) -> None:
    """The exit handler of the provider is called as without the plugin."""
    env = collector.env(OTEL_METRICS_EXPORTER="none")
    app = start(APP, env=QUICK | env)
    assert ended(app) < SOONER
    assert {"last words", "lifecycle drain"} <= {*collector.names()}
    assert app.stdout.splitlines() == ["the file is closed"]
    [warning] = app.events("opentelemetry")
    assert warning["problem"].startswith(FAILED)
    assert "one batch is refused" in warning["problem"]


def flushed(provider: Any) -> str:
    """The problem of a flush."""
    ending = Ending(10)
    ending.written.set()
    flush = AppFlush("the app's metrics", provider, ending)
    return flush.problem(side_by_side(flush.calls, ending.left()))


class Failing(InMemoryMetricReader):
    """A reader that cannot be flushed."""

    def force_flush(self, *_: object, **__: object) -> bool:
        raise RuntimeError("no answer")


@pytest.mark.parametrize("readers", [[Failing()], [Failing(), InMemoryMetricReader()]])
def test_readers(readers: list[Any]) -> None:
    """Each is called by itself too."""
    provider = MeterProvider(readers, shutdown_on_exit=False)
    problem = flushed(provider)
    provider.shutdown()
    assert "RuntimeError" in problem


def test_a_provider_of_another_library() -> None:
    """It is called as a whole."""

    class Foreign:
        def force_flush(self, _: int) -> bool:
            return False

    assert flushed(Foreign()) == FAILED

"""An app that shuts down its own providers in its lifespan, before the drain can be written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lifecycle_opentelemetry import app_providers
from lifecycle_opentelemetry.app_providers import is_shut_down, parts_of, watch
from lifecycle_opentelemetry.log_mark import LogMark
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from plugins.opentelemetry.tests.hosts import HOSTS, UNHURRIED, run
from plugins.opentelemetry.tests.receiver import Receiver
from plugins.opentelemetry.tests.test_hosts import end
from tests.process.kit import App

Start = Callable[..., App]

OWN = {"OWN_PROVIDER": "1", "SHUT_DOWN": "1"}


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("signals", ["", "1"])
@pytest.mark.parametrize("name", ["run --asgi", "run --asgi, uvicorn", "Managed"])
def test_the_drain_is_sent_by_the_plugin(
    *, name: str, signals: str, at_once: bool, start: Start, collector: Receiver, tmp_path: Path
) -> None:
    """
    With the app's own resource, and without a warning about the app's providers.

    If the app ends right after READY, the start is also sent by the plugin.
    """
    env = UNHURRIED | OWN | collector.env(ALL_SIGNALS=signals, OTEL_METRIC_EXPORT_INTERVAL="100")
    app = run(HOSTS[name], start, tmp_path, **env)
    if not at_once:  # the start is written before the metrics
        collector.wait(lambda now: now.value("state", state="ready") == 1, "metrics")
    end(app, HOSTS[name], "SIGTERM" if at_once else "preStop")

    began, drained = collector.span("lifecycle start"), collector.span("lifecycle drain")
    assert {"a request", "last words"} <= {*collector.names()}
    assert drained.links == [began.span_id]
    assert drained.resource == began.resource
    assert {"wait", "stop"} <= {step.name for step in collector.children(drained)}
    assert collector.logs == ["last words"] * bool(signals)
    assert not app.events("opentelemetry"), app.stderr
    assert "Traceback" not in app.stderr


def test_without_an_exporter_of_the_plugin_there_is_no_drain(
    start: Start, collector: Receiver, tmp_path: Path
) -> None:
    """As if the app were set up in code only. There is no warning either."""
    env = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
    app = run(HOSTS["run --asgi"], start, tmp_path, **UNHURRIED, **OWN, **collector.env(), **env)
    end(app, HOSTS["run --asgi"], "SIGTERM")
    assert {"a request", "last words"} <= {*collector.names()}
    assert "lifecycle drain" not in collector.names()
    assert not app.events("opentelemetry"), app.stderr


@pytest.fixture
def of_the_app(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """The providers that the app has set."""
    found: dict[str, object] = {}
    monkeypatch.setattr(app_providers, "app_provider", found.get)
    yield found
    for each in found.values():
        each.shutdown()  # type: ignore[attr-defined]


def test_a_shutdown_is_noticed(of_the_app: dict[str, object]) -> None:
    """Of each provider by itself."""
    spans = of_the_app["spans"] = TracerProvider(shutdown_on_exit=False)
    logs = of_the_app["logs"] = LoggerProvider(shutdown_on_exit=False)
    watch()
    assert (is_shut_down(spans), is_shut_down(logs)) == (False, False)
    logs.shutdown()
    assert (is_shut_down(spans), is_shut_down(logs)) == (False, True)
    spans.shutdown()
    assert is_shut_down(spans)


def test_a_provider_is_watched_once(of_the_app: dict[str, object]) -> None:
    """However many apps the process has."""
    spans = of_the_app["spans"] = TracerProvider(shutdown_on_exit=False)
    watch()
    watch()
    assert len(spans._active_span_processor._span_processors) == 1
    assert parts_of(spans) == []


def test_watching_changes_nothing(of_the_app: dict[str, object]) -> None:
    """A logger without a processor stays off, and a pool of threads gets no more work."""
    pool = ConcurrentMultiSpanProcessor()
    spans = TracerProvider(active_span_processor=pool, shutdown_on_exit=False)
    logs = LoggerProvider(shutdown_on_exit=False)
    of_the_app |= {"spans": spans, "logs": logs}
    watch()
    assert not pool._span_processors
    assert not LogMark().enabled()
    assert not logs.get_logger("shop").enabled()


@pytest.mark.parametrize("kind", [SimpleSpanProcessor, BatchSpanProcessor])
def test_a_shutdown_before(kind: type[SpanProcessor], of_the_app: dict[str, object]) -> None:
    """As that of an app that ends right after READY."""
    spans = of_the_app["spans"] = TracerProvider(shutdown_on_exit=False)
    spans.add_span_processor(kind(InMemorySpanExporter()))  # type: ignore[call-arg]
    assert not is_shut_down(spans)
    spans.shutdown()
    watch()
    assert is_shut_down(spans)


class Foreign:
    """A provider of another library, which takes no processors and has no weak references."""

    __slots__ = ()

    def force_flush(self, *_: object) -> bool:
        return True

    def shutdown(self) -> None:
        return


def test_a_provider_of_another_library(of_the_app: dict[str, object]) -> None:
    """It is not watched."""
    of_the_app["spans"] = Foreign()
    watch()
    assert not is_shut_down(of_the_app["spans"])

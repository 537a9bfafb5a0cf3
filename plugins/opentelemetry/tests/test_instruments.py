"""The metrics in the SDK, and what Prometheus makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from lifecycle_opentelemetry.instruments import Quietly, meters_of, own_provider
from lifecycle_opentelemetry.readings import HISTOGRAMS, READINGS, WORKERS
from lifecycle_prometheus.families import families
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
)
from opentelemetry.sdk.resources import Resource

from plugins.opentelemetry.tests.snapshots import started
from plugins.prometheus.tests.snapshots import runs, worker


@pytest.fixture
def reader() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def provider(reader: InMemoryMetricReader) -> Iterator[MeterProvider]:
    made = MeterProvider([reader], shutdown_on_exit=False)
    yield made
    made.shutdown()


def collected(reader: InMemoryMetricReader) -> dict[str, Any]:
    """Each metric that the SDK collects now, by its name."""
    data = reader.get_metrics_data()
    if data is None:
        return {}
    scopes = [scope for each in data.resource_metrics for scope in each.scope_metrics]
    return {metric.name: metric for scope in scopes for metric in scope.metrics}


def test_all_metrics_are_collected(provider: MeterProvider, reader: InMemoryMetricReader) -> None:
    """With their units, and those of runs as histograms with the bounds of the core."""
    meters_of(provider).of(started)
    found = collected(reader)
    assert {*found} == {each.name for each in (*READINGS, *HISTOGRAMS)} - {
        "pod_lifecycle_oldest_in_flight_seconds"
    }
    [point] = found["pod_lifecycle_probe_seconds"].data.data_points
    assert point.attributes == {"kind": "readiness", "probe": "postgres"}
    assert (point.count, round(point.sum, 6)) == (3, 0.06)
    assert [*point.explicit_bounds] == [0.001, 0.025, 1.0]
    assert [*point.bucket_counts] == [0, 3, 0, 0]
    assert found["pod_lifecycle_loop_lag_seconds"].unit == "s"


def test_runs_are_counted_once(provider: MeterProvider, reader: InMemoryMetricReader) -> None:
    """However often the metrics are collected, and whatever new runs there are."""
    now = [started()]
    meters = meters_of(provider)
    meters.of(lambda: now[0])
    collected(reader)
    meters.of(lambda: now[0])
    collected(reader)
    now[0] = started(probe_runs=[runs(count=5, kind="readiness", plugin="postgres")])
    meters.of(lambda: now[0])
    [point] = collected(reader)["pod_lifecycle_probe_seconds"].data.data_points
    assert (point.count, round(point.sum, 6)) == (5, 0.1)


def test_a_command_has_workers_and_an_app_has_not(
    provider: MeterProvider, reader: InMemoryMetricReader
) -> None:
    """0 workers are shown only if there have been some."""
    now = [started()]
    meters = meters_of(provider)
    meters.of(lambda: now[0])
    assert WORKERS.name not in collected(reader)
    now[0] = started(workers=[worker(1), worker(2)])
    meters._kept = 0.0, None
    assert collected(reader)[WORKERS.name].data.data_points[0].value == 2
    now[0] = started()
    meters._kept = 0.0, None
    assert collected(reader)[WORKERS.name].data.data_points[0].value == 0


def test_a_second_app_of_the_process_takes_the_place_of_the_first(
    provider: MeterProvider, reader: InMemoryMetricReader, caplog: pytest.LogCaptureFixture
) -> None:
    """The instruments are made once: the SDK would warn of others with the same names."""
    meters_of(provider).of(lambda: started(in_flight=1))
    collected(reader)
    meters_of(provider).of(lambda: started(in_flight=7))
    [point] = collected(reader)["pod_lifecycle_in_flight"].data.data_points
    assert point.value == 7
    meters_of(provider).of(lambda: None)
    assert "pod_lifecycle_in_flight" not in collected(reader)
    assert not caplog.records


def test_prometheus_gets_the_same_names() -> None:
    """Through the exporter for Prometheus of OpenTelemetry."""
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.parser import text_string_to_metric_families

    registry = CollectorRegistry()
    reader = PrometheusMetricReader(registry=registry)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    now = started(workers=[worker(1)], oldest_in_flight=2.0)
    meters_of(provider).of(lambda: now)
    text = generate_latest(registry).decode()
    samples = {
        sample.name for family in text_string_to_metric_families(text) for sample in family.samples
    }
    provider.shutdown()

    ours = {name for name in samples if name.startswith("pod_lifecycle")}
    expected = set()
    for family in families(now, is_command=True):
        if family.kind == "histogram":
            expected |= {f"{family.name}_{part}" for part in ("bucket", "count", "sum")}
        else:
            expected.add(family.sample)
    assert ours == expected


class Failing(MetricExporter):
    """An exporter that raises, or says that it has failed."""

    raises = False

    def export(self, *_: object, **__: object) -> MetricExportResult:
        if self.raises:
            raise RuntimeError("broken")
        return MetricExportResult.FAILURE

    def force_flush(self, *_: object, **__: object) -> bool:
        return True

    def shutdown(self, *_: object, **__: object) -> None:
        return


@pytest.mark.parametrize(
    ("raises", "problem"),
    [(True, "RuntimeError: broken"), (False, "The exporter gave no reason.")],
)
def test_a_failed_export_is_reported(
    *, raises: bool, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And not logged by anybody else."""
    problems: list[str] = []
    kind = type("Kind", (Failing,), {"raises": raises})
    provider = own_provider([kind], Resource({}), problems.append)
    meters_of(provider).of(started)
    provider.shutdown()
    assert problems == [problem]
    assert not caplog.records


def test_the_choices_of_an_exporter_stay() -> None:
    """Its temporality and aggregation."""
    from opentelemetry.sdk.metrics import Counter
    from opentelemetry.sdk.metrics.export import AggregationTemporality

    inner = Failing({Counter: AggregationTemporality.DELTA})
    outer = Quietly(inner, lambda _: None)
    assert outer._preferred_temporality == {Counter: AggregationTemporality.DELTA}

"""The metrics as instruments of a meter, and their own provider."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricReader,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource

from lifecycle_opentelemetry.durations import Seen
from lifecycle_opentelemetry.quiet import described, overheard
from lifecycle_opentelemetry.readings import HISTOGRAMS, READINGS, WORKERS, Histogram, Reading

SCOPE: Final = "lifecycle_opentelemetry"
KEPT: Final = 1.0
"""Seconds for which all instruments share a snapshot, so that they fit together."""
NO_REASON: Final = "The exporter gave no reason."

Snapshot = Mapping[str, Any]
Observations = Iterable[metrics.Observation]


class Meters:
    """
    The instruments of one provider, which read the snapshots of the current app. Any thread.

    Args:
        provider: The provider.
    """

    def __init__(self, provider: metrics.MeterProvider) -> None:
        self._meter = provider.get_meter(SCOPE)
        self._lock = threading.Lock()
        self._read: Callable[[], Snapshot | None] = lambda: None
        self._kept: tuple[float, Snapshot | None] = 0.0, None
        self._seen = {each.name: Seen() for each in HISTOGRAMS}
        self._histograms: dict[str, metrics.Histogram] = {}
        self._had_workers = False
        self._process = os.getpid()
        for reading in (*READINGS, WORKERS):
            make = (
                self._meter.create_observable_counter
                if reading.counts
                else self._meter.create_observable_gauge
            )
            make(
                reading.name,
                callbacks=[partial(self._observe, reading)],
                unit=reading.unit,
                description=reading.text,
            )

    def of(self, read: Callable[[], Snapshot | None], *, is_command: bool = False) -> None:
        """
        Read these snapshots from now on. Without one, there are no values.

        Args:
            read: Returns a snapshot, or None.
            is_command: True if the app has workers. They may be gone at the first export.
        """
        with self._lock:
            self._read = read
            self._process = os.getpid()
            self._kept = 0.0, None
            self._had_workers = is_command

    def _observe(self, reading: Reading, _: metrics.CallbackOptions) -> Observations:
        snapshot = self._snapshot()
        if snapshot is None or (reading is WORKERS and not self._had_workers):
            return []
        return [metrics.Observation(value, found) for found, value in reading.values(snapshot)]

    def _snapshot(self) -> Snapshot | None:
        if os.getpid() != self._process:
            return None  # a forked child: no thread there makes snapshots
        with self._lock:
            at, snapshot = self._kept
            if snapshot is None or time.monotonic() - at >= KEPT:
                snapshot = self._read()
                self._kept = time.monotonic(), snapshot
                if snapshot is not None:
                    self._had_workers |= bool(snapshot.get("workers"))
                    # No instrument reads a histogram, so the new runs are recorded now.
                    for each in HISTOGRAMS:
                        self._record(each, snapshot)
            return snapshot

    def _record(self, histogram: Histogram, snapshot: Snapshot) -> None:
        for found, runs in histogram.values(snapshot):
            instrument = self._histograms.get(histogram.name)
            if instrument is None:
                instrument = self._histograms[histogram.name] = self._meter.create_histogram(
                    histogram.name,
                    unit="s",
                    description=histogram.text,
                    explicit_bucket_boundaries_advisory=[*runs["bounds"]],
                )
            for seconds in self._seen[histogram.name].new((*found.values(),), runs):
                instrument.record(seconds, found)


_known: WeakKeyDictionary[metrics.MeterProvider, Meters] = WeakKeyDictionary()
_known_lock = threading.Lock()


def meters_of(provider: metrics.MeterProvider) -> Meters:
    """Return the instruments of a provider. They are made once, even for several apps in a row."""
    with _known_lock:
        found = _known.get(provider)
        if found is None:
            found = _known[provider] = Meters(provider)
        return found


def own_provider(
    kinds: Sequence[Any], resource: Resource, complain: Callable[[str], None]
) -> MeterProvider:
    """
    Return a provider that exports every `OTEL_METRIC_EXPORT_INTERVAL`.

    Args:
        kinds: Classes of exporters, or of readers such as that for Prometheus.
        resource: The resource.
        complain: Called with the problem of each export, or with an empty text.
    """
    readers = [
        kind()
        if issubclass(kind, MetricReader)
        else PeriodicExportingMetricReader(Quietly(kind(), complain))
        for kind in kinds
    ]
    # Without `shutdown_on_exit`, because an exit handler would delay the end of the process.
    return MeterProvider(readers, resource=resource, shutdown_on_exit=False)


class Quietly(MetricExporter):
    """
    An exporter that reports its problems, instead of logging them.

    The reader of the SDK also collects in each forked child. Nothing is exported there, because the
    values would be those of the parent at the fork. The connection is also that of the parent.

    Args:
        inner: The exporter.
        complain: Called with the problem of each export, or with an empty text.
    """

    def __init__(self, inner: MetricExporter, complain: Callable[[str], None]) -> None:
        super().__init__(  # as the reader itself asks an exporter for its choices
            preferred_temporality=getattr(inner, "_preferred_temporality", None),
            preferred_aggregation=getattr(inner, "_preferred_aggregation", None),
        )
        self._inner = inner
        self._complain = complain
        self._process = os.getpid()

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        if self._is_forked():
            return MetricExportResult.SUCCESS
        problem = ""
        with overheard() as heard:
            try:
                result = self._inner.export(metrics_data, timeout_millis=timeout_millis, **kwargs)
            except Exception as error:  # noqa: BLE001 - an exporter of anybody
                result, problem = MetricExportResult.FAILURE, described(error)
        if result is not MetricExportResult.SUCCESS:
            problem = problem or heard.reason or NO_REASON
        self._complain(problem)
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        if self._is_forked():
            return True
        with overheard():
            return self._inner.force_flush(timeout_millis=timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        if self._is_forked():
            return
        with overheard():
            self._inner.shutdown(timeout_millis=timeout_millis, **kwargs)

    def _is_forked(self) -> bool:
        return os.getpid() != self._process

"""
The metrics in one snapshot.

The number of series is limited, whatever clients send and whatever plugins return.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

import lifecycle
from lifecycle_prometheus.labels import label

PREFIX: Final = "pod_lifecycle"
MOST: Final = 1000
"""Combinations of labels that a metric may have. Later ones are left out."""
BEAT: Final = 0.25
"""Seconds between two heartbeats of a worker. A healthy one may be that old."""

T = TypeVar("T")
Row = tuple[Sequence[object], float]


def families(snapshot: Mapping[str, Any], *, is_command: bool) -> Iterator[Metric]:
    """
    Yield the metrics of one snapshot.

    Args:
        snapshot: The snapshot of a `Lifecycle`.
        is_command: True if there are workers, or have been. Otherwise there is no metric about
            workers, because an alert about 0 workers would be wrong for an app without a command.
    """
    yield from _of_the_app(snapshot)
    yield from _of_requests(snapshot)
    yield from _of_probes(snapshot)
    yield from _of_services(snapshot)
    yield from _of_the_start_and_the_end(snapshot)
    if is_command:
        workers = len(snapshot.get("workers", ()))
        yield _gauge("workers", "Workers of the command that serve.", workers)


def _of_the_app(snapshot: Mapping[str, Any]) -> Iterator[Metric]:
    info = {"version": label(snapshot["version"]), "python": platform.python_version()}
    yield InfoMetricFamily(PREFIX, "Versions of pod-lifecycle and Python.", value=info)
    states = (((state.value,), state == snapshot["state"]) for state in lifecycle.State)
    yield _gauges("state", "1 for the state of the app, 0 for the others.", ["state"], states)
    ready = float(_is_ready(snapshot))
    yield _gauge("ready", "1 if the app was ready at the last readiness probe, else 0.", ready)
    lag = _loop_lag(snapshot)
    if lag is not None:
        yield _gauge(
            "loop_lag_seconds", "Longest delay of the app's event loop in the last 30 to 60 s.", lag
        )


def _is_ready(snapshot: Mapping[str, Any]) -> bool:
    if snapshot["state"] != lifecycle.State.READY:
        return False
    services = snapshot["services"]
    if services and not any(each["online"] for each in services):
        return False
    needed = ("readiness", "startup")
    return all(each["ok"] for each in snapshot["probes"] if each["kind"] in needed)


def _loop_lag(snapshot: Mapping[str, Any]) -> float | None:
    workers = snapshot.get("workers")
    if workers:
        return max(0.0, *(float(each["stalled"]) - BEAT for each in workers))
    lag: float | None = snapshot.get("loop_lag")
    return lag


def _of_requests(snapshot: Mapping[str, Any]) -> Iterator[Metric]:
    yield _gauge("in_flight", "Requests and other pieces of work in flight.", snapshot["in_flight"])
    oldest = snapshot.get("oldest_in_flight")
    if oldest is not None:
        yield _gauge("oldest_in_flight_seconds", "Age of the oldest work in flight.", oldest)
    for name, field, text in (
        ("requests", "requests", "Requests and other pieces of work since the start."),
        (
            "connections_told_to_go",
            "told_to_go",
            "Connections that were told to close in a drain: Connection: close, GOAWAY or 1001.",
        ),
    ):
        if snapshot.get(field) is not None:
            yield CounterMetricFamily(f"{PREFIX}_{name}", text, value=snapshot[field])


def _of_probes(snapshot: Mapping[str, Any]) -> Iterator[Metric]:
    labels = ["kind", "probe"]
    answers = (((each["kind"], each["name"]), each["ok"]) for each in snapshot["probes"])
    yield _gauges(
        "probe_ok", "1 if the last answer of the probe was good, else 0.", labels, answers
    )
    runs = (((each["kind"], each["plugin"]), each) for each in snapshot.get("probe_runs", ()))
    yield _histogram("probe_seconds", "Duration of the runs of a plugin's probe.", labels, runs)


def _of_services(snapshot: Mapping[str, Any]) -> Iterator[Metric]:
    registrations = (
        ((service["name"], registry), registration["registered"] == "yes")
        for service in snapshot["services"]
        for registry, registration in service["registrations"].items()
    )
    yield _gauges(
        "registered",
        "1 if the registry has acknowledged the app service, 0 if not, or if this is not known.",
        ["service", "registry"],
        registrations,
    )
    runs = (((each["registry"],), each) for each in snapshot.get("registration_runs", ()))
    yield _histogram(
        "registration_seconds", "Duration of successful registrations.", ["registry"], runs
    )


def _of_the_start_and_the_end(snapshot: Mapping[str, Any]) -> Iterator[Metric]:
    start = snapshot.get("start")
    if start is not None:
        steps = [((step["name"],), step["seconds"]) for step in start["steps"]]
        yield _gauges(
            "start_seconds",
            "Duration of each step of the start, and of the whole start as the step total.",
            ["step"],
            [(("total",), start["seconds"]), *steps],
        )
    drain = snapshot["drain"]
    elapsed = drain["elapsed"] if drain is not None else 0.0
    yield _gauge("drain_seconds", "Seconds since the drain start, or 0 before it.", elapsed)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, value=value)


def _gauges(name: str, text: str, labels: Sequence[str], rows: Iterable[Row]) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for values, number in _limited(rows):
        family.add_metric(values, float(number))
    return family


def _histogram(
    name: str,
    text: str,
    labels: Sequence[str],
    rows: Iterable[tuple[Sequence[object], Mapping[str, Any]]],
) -> Metric:
    family = HistogramMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for values, runs in _limited(rows):
        bounds = [*map(str, runs["bounds"]), "+Inf"]
        buckets = list(zip(bounds, accumulate(runs["counts"]), strict=True))
        family.add_metric(values, buckets, runs["seconds"])
    return family


def _limited(rows: Iterable[tuple[Sequence[object], T]]) -> Iterator[tuple[tuple[str, ...], T]]:
    """Yield the first rows with different labels. A parser refuses equal ones."""
    seen: set[tuple[str, ...]] = set()
    for values, what in rows:
        if len(seen) == MOST:
            return
        labels = tuple(map(label, values))
        if labels not in seen:
            seen.add(labels)
            yield labels, what

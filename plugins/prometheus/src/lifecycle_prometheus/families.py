"""
The metrics in one snapshot.

The number of series is limited, whatever clients send and whatever plugins return.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple, TypeVar

import lifecycle
from lifecycle_prometheus.labels import label

PREFIX: Final = "pod_lifecycle"
MOST: Final = 1000
"""Combinations of labels that a metric may have. Later ones are left out."""
BEAT: Final = 0.25
"""Seconds between two heartbeats of a worker. A healthy one may be that old."""

_SUFFIXES: Final = {"counter": "_total", "info": "_info"}

T = TypeVar("T")
Labels = tuple[str, ...]
Row = tuple[Sequence[object], float]


class Buckets(NamedTuple):
    """
    One histogram.

    Attributes:
        bounds: The upper bound of each bucket. The last one is `+Inf`.
        counts: For each bucket, the number of runs that did not take longer than its bound.
        seconds: The seconds of all runs together.
    """

    bounds: Sequence[str]
    counts: Sequence[int]
    seconds: float


class Family(NamedTuple):
    """
    One metric with all its series.

    Attributes:
        name: Its name, without the suffix of a counter or an info.
        kind: `gauge`, `counter`, `histogram` or `info`.
        text: Its help text, without quotes and line feeds.
        labels: The names of its labels.
        rows: For each series the values of its labels, and its value.
    """

    name: str
    kind: str
    text: str
    labels: Labels
    rows: Sequence[tuple[Labels, float | Buckets]]

    @property
    def sample(self) -> str:
        """The name of its series, except those of a histogram."""
        return self.name + _SUFFIXES.get(self.kind, "")


def families(snapshot: Mapping[str, Any], *, is_command: bool) -> Iterator[Family]:
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


def _of_the_app(snapshot: Mapping[str, Any]) -> Iterator[Family]:
    versions = label(snapshot["version"]), platform.python_version()
    text = "Versions of pod-lifecycle and Python."
    yield Family(PREFIX, "info", text, ("version", "python"), [(versions, 1.0)])
    states = (((state.value,), state == snapshot["state"]) for state in lifecycle.State)
    yield _gauges("state", "1 for the state of the app, 0 for the others.", ("state",), states)
    ready = float(_is_ready(snapshot))
    yield _gauge("ready", "1 if the app was ready at the last readiness probe, else 0.", ready)
    lag = _loop_lag(snapshot)
    if lag is not None:
        yield _gauge(
            "loop_lag_seconds",
            "Longest delay of the app's event loop in the last 30 to 60 s. With workers, the longest "
            "delay now.",
            lag,
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


def _of_requests(snapshot: Mapping[str, Any]) -> Iterator[Family]:
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
            yield Family(f"{PREFIX}_{name}", "counter", text, (), [((), snapshot[field])])


def _of_probes(snapshot: Mapping[str, Any]) -> Iterator[Family]:
    labels = ("kind", "probe")
    answers = (((each["kind"], each["name"]), each["ok"]) for each in snapshot["probes"])
    yield _gauges(
        "probe_ok", "1 if the last answer of the probe was good, else 0.", labels, answers
    )
    runs = (((each["kind"], each["plugin"]), each) for each in snapshot.get("probe_runs", ()))
    yield _histogram("probe_seconds", "Duration of the runs of a plugin's probe.", labels, runs)


def _of_services(snapshot: Mapping[str, Any]) -> Iterator[Family]:
    registrations = (
        ((service["name"], registry), registration["registered"] == "yes")
        for service in snapshot["services"]
        for registry, registration in service["registrations"].items()
    )
    yield _gauges(
        "registered",
        "1 if the registry has acknowledged the app service, 0 if not, or if this is not known.",
        ("service", "registry"),
        registrations,
    )
    runs = (((each["registry"],), each) for each in snapshot.get("registration_runs", ()))
    yield _histogram(
        "registration_seconds", "Duration of successful registrations.", ("registry",), runs
    )


def _of_the_start_and_the_end(snapshot: Mapping[str, Any]) -> Iterator[Family]:
    start = snapshot.get("start")
    if start is not None:
        steps: dict[str, float] = {}
        for step in start["steps"]:  # several steps may have one name
            steps[step["name"]] = steps.get(step["name"], 0.0) + step["seconds"]
        yield _gauges(
            "start_seconds",
            "Duration of each step of the start, and of the whole start as the step total.",
            ("step",),
            [(("total",), start["seconds"]), *(((name,), spent) for name, spent in steps.items())],
        )
    drain = snapshot["drain"]
    elapsed = drain["elapsed"] if drain is not None else 0.0
    yield _gauge("drain_seconds", "Seconds since the drain start, or 0 before it.", elapsed)


def _gauge(name: str, text: str, value: float) -> Family:
    return Family(f"{PREFIX}_{name}", "gauge", text, (), [((), value)])


def _gauges(name: str, text: str, labels: Labels, rows: Iterable[Row]) -> Family:
    return Family(f"{PREFIX}_{name}", "gauge", text, labels, [*_limited(rows)])


def _histogram(
    name: str,
    text: str,
    labels: Labels,
    rows: Iterable[tuple[Sequence[object], Mapping[str, Any]]],
) -> Family:
    made = [(values, _buckets(runs)) for values, runs in _limited(rows)]
    return Family(f"{PREFIX}_{name}", "histogram", text, labels, made)


def _buckets(runs: Mapping[str, Any]) -> Buckets:
    bounds = [*map(str, runs["bounds"]), "+Inf"]
    return Buckets(bounds, [*accumulate(runs["counts"])], runs["seconds"])


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

"""
The metrics in one snapshot. Their names are those of lifecycle-prometheus.

The number of series is limited, whatever clients send and whatever plugins return. Nothing here
needs OpenTelemetry.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import lifecycle
from lifecycle_opentelemetry.text import bounded

PREFIX: Final = "pod_lifecycle"
MOST: Final = 1000
"""Combinations of attributes that a metric may have. Later ones are left out."""
BEAT: Final = 0.25
"""Seconds between two heartbeats of a worker. A healthy one may be that old."""

Snapshot: TypeAlias = Mapping[str, Any]
Row: TypeAlias = tuple[Mapping[str, object], float]
Attributes: TypeAlias = dict[str, str]


class Reading(NamedTuple):
    """
    One metric that has a value at any time.

    Attributes:
        name: Its name, as lifecycle-prometheus writes it.
        counts: True for a counter, false for a gauge.
        unit: `s`, or empty.
        text: Its description.
        rows: Returns for each series the attributes and the value.
    """

    name: str
    counts: bool
    unit: str
    text: str
    rows: Callable[[Snapshot], Iterable[Row]]

    def values(self, snapshot: Snapshot) -> Iterator[tuple[Attributes, float]]:
        """Yield each series of a snapshot, with different attributes."""
        return _limited(self.rows(snapshot))


class Histogram(NamedTuple):
    """
    One metric for durations.

    Attributes:
        name: Its name, as lifecycle-prometheus writes it.
        text: Its description.
        runs: Returns for each series the attributes, and the record of its runs.
    """

    name: str
    text: str
    runs: Callable[[Snapshot], Iterable[tuple[Mapping[str, object], Mapping[str, Any]]]]

    def values(self, snapshot: Snapshot) -> Iterator[tuple[Attributes, Mapping[str, Any]]]:
        """Yield each series of a snapshot, with different attributes."""
        return _limited(self.runs(snapshot))


def _limited(rows: Iterable[tuple[Mapping[str, object], Any]]) -> Iterator[tuple[Attributes, Any]]:
    seen: set[tuple[str, ...]] = set()
    for found, value in rows:
        if len(seen) == MOST:
            return
        attributes = {name: bounded(each) for name, each in found.items()}
        key = tuple(attributes.values())
        if key not in seen:
            seen.add(key)
            yield attributes, value


def _gauge(name: str, text: str, rows: Callable[[Snapshot], Iterable[Row]]) -> Reading:
    return Reading(f"{PREFIX}_{name}", counts=False, unit=_unit_of(name), text=text, rows=rows)


def _counter(name: str, text: str, field: str) -> Reading:
    return Reading(
        f"{PREFIX}_{name}", counts=True, unit="", text=text, rows=lambda now: _field(now, field)
    )


def _unit_of(name: str) -> str:
    return "s" if name.endswith("_seconds") else ""


def _field(snapshot: Snapshot, name: str) -> Iterator[Row]:
    if snapshot.get(name) is not None:
        yield {}, snapshot[name]


def _info(snapshot: Snapshot) -> Iterator[Row]:
    yield {"version": snapshot["version"], "python": platform.python_version()}, 1


def _states(snapshot: Snapshot) -> Iterator[Row]:
    for state in lifecycle.State:
        yield {"state": state.value}, int(state == snapshot["state"])


def _ready(snapshot: Snapshot) -> Iterator[Row]:
    services = snapshot["services"]
    needed = ("readiness", "startup")
    yield (
        {},
        int(
            snapshot["state"] == lifecycle.State.READY
            and (not services or any(each["online"] for each in services))
            and all(each["ok"] for each in snapshot["probes"] if each["kind"] in needed)
        ),
    )


def _loop_lag(snapshot: Snapshot) -> Iterator[Row]:
    workers = snapshot.get("workers")
    if workers:
        yield {}, max(0.0, *(float(each["stalled"]) - BEAT for each in workers))
    else:
        yield from _field(snapshot, "loop_lag")


def _probes(snapshot: Snapshot) -> Iterator[Row]:
    for each in snapshot["probes"]:
        yield {"kind": each["kind"], "probe": each["name"]}, int(each["ok"])


def _registered(snapshot: Snapshot) -> Iterator[Row]:
    for service in snapshot["services"]:
        for registry, registration in service["registrations"].items():
            yes = int(registration["registered"] == "yes")
            yield {"service": service["name"], "registry": registry}, yes


def _start(snapshot: Snapshot) -> Iterator[Row]:
    start = snapshot.get("start")
    if start is not None:
        yield {"step": "total"}, start["seconds"]
        steps: dict[str, float] = {}
        for step in start["steps"]:  # several steps may have one name
            steps[step["name"]] = steps.get(step["name"], 0.0) + step["seconds"]
        yield from (({"step": name}, seconds) for name, seconds in steps.items())


def _drain(snapshot: Snapshot) -> Iterator[Row]:
    drain = snapshot["drain"]
    yield {}, drain["elapsed"] if drain is not None else 0.0


READINGS: Final = (
    _gauge("info", "Versions of pod-lifecycle and Python.", _info),
    _gauge("state", "1 for the state of the app, 0 for the others.", _states),
    _gauge("ready", "1 if the app was ready at the last readiness probe, else 0.", _ready),
    _gauge(
        "loop_lag_seconds",
        "Longest delay of the app's event loop in the last 30 to 60 s. With workers, the longest "
        "delay now.",
        _loop_lag,
    ),
    _gauge(
        "in_flight",
        "Requests and other pieces of work in flight.",
        lambda now: _field(now, "in_flight"),
    ),
    _gauge(
        "oldest_in_flight_seconds",
        "Age of the oldest work in flight.",
        lambda now: _field(now, "oldest_in_flight"),
    ),
    _counter("requests_total", "Requests and other pieces of work since the start.", "requests"),
    _counter(
        "connections_told_to_go_total",
        "Connections that were told to close in a drain: Connection: close, GOAWAY or 1001.",
        "told_to_go",
    ),
    _gauge("probe_ok", "1 if the last answer of the probe was good, else 0.", _probes),
    _gauge(
        "registered",
        "1 if the registry has acknowledged the app service, 0 if not, or if this is not known.",
        _registered,
    ),
    _gauge(
        "start_seconds",
        "Duration of each step of the start, and of the whole start as the step total.",
        _start,
    ),
    _gauge("drain_seconds", "Seconds since the drain start, or 0 before it.", _drain),
)
WORKERS: Final = _gauge(
    "workers",
    "Workers of the command that serve.",
    lambda now: [({}, len(now.get("workers", ())))],
)
"""For an app with workers only, because an alert about 0 workers would be wrong for others."""

HISTOGRAMS: Final = (
    Histogram(
        f"{PREFIX}_probe_seconds",
        "Duration of the runs of a plugin's probe.",
        lambda now: (
            ({"kind": each["kind"], "probe": each["plugin"]}, each)
            for each in now.get("probe_runs", ())
        ),
    ),
    Histogram(
        f"{PREFIX}_registration_seconds",
        "Duration of successful registrations.",
        lambda now: (
            ({"registry": each["registry"]}, each) for each in now.get("registration_runs", ())
        ),
    ),
)

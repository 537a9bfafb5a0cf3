"""
The metrics, for Prometheus.

Rules of this file:

1. No label has the name of a pod. Labels are the namespace, the workload, and words of this package.
2. At most `labels.MOST` workloads have separate series. All others are counted together.
3. An answer is kept for a second, so that many scrapers cost no more than one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from lifecycle_fleet.serve.fleet import Fleet
from lifecycle_fleet.serve.labels import Labels

KEPT: Final = 1.0
PREFIX: Final = "pod_lifecycle_fleet"
GROUP: Final = ("namespace", "workload")

Value = tuple[tuple[str, ...], float]
"""The values of the labels, and the value of the series."""


class FleetCollector(Collector):
    """
    The metrics of the pods and of the server itself.

    Args:
        fleet: The pods.
        server: Returns the numbers of the server: `readers`, and by plural `lists` and `watching`.
    """

    def __init__(self, fleet: Fleet, server: Callable[[], Mapping[str, Any]]) -> None:
        self._fleet = fleet
        self._server = server

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics."""
        yield from self._of_pods()
        yield from self._of_ends()
        yield from self._of_server()

    def _of_pods(self) -> Iterator[Metric]:
        states: Counter[tuple[str, ...]] = Counter()
        sums = {
            name: Counter[tuple[str, ...]]()
            for name in ("pods_ready", "pods_in_slices", "pods_with_problem", "restarts")
        }
        labels = Labels()
        for _, row in sorted(self._fleet.rows.items()):
            pod, kind, problem, _ = row
            group = labels.of((pod.namespace, pod.workload))
            states[*group, kind] += 1
            sums["pods_ready"][group] += pod.ready
            sums["pods_in_slices"][group] += pod.in_slices == "yes"
            sums["pods_with_problem"][group] += bool(problem)
            sums["restarts"][group] += pod.restarts
        yield _gauge("pods", "Pods in each state.", (*GROUP, "state"), states.items())
        for name, text in (
            ("pods_ready", "Pods that the kubelet considers ready."),
            ("pods_in_slices", "Pods that clients find, by the EndpointSlices."),
            ("pods_with_problem", "Pods with a problem."),
            ("restarts", "Restarts of the containers of the current pods."),
        ):
            yield _gauge(name, text, GROUP, sums[name].items())

    def _of_ends(self) -> Iterator[Metric]:
        ends = self._fleet.ends
        by_how = (((*group, how), count) for (group, how), count in ends.counts.items())
        text = "Pods that have ended since the server started, by how they ended."
        yield _counter("pods_ended", text, (*GROUP, "how"), by_how)
        yield _counter(
            "prestop_hooks_failed", "preStop hooks that have failed.", GROUP, ends.hooks.items()
        )

    def _of_server(self) -> Iterator[Metric]:
        server = self._server()
        watching = (((plural,), on) for plural, on in server["watching"].items())
        lists = (((plural,), count) for plural, count in server["lists"].items())
        yield _gauge("watching", "1 if the kind is watched now, else 0.", ("kind",), watching)
        yield _counter("lists", "Lists that the server has requested.", ("kind",), lists)
        yield _gauge("readers", "Open streams of readers.", (), [((), server["readers"])])
        changed = [((), self._fleet.changed_at)]
        yield _gauge("last_change_timestamp_seconds", "When a pod last changed.", (), changed)


class MetricsPage:
    """
    The page for scrapers.

    Args:
        collector: The metrics.
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, collector: FleetCollector, clock: Callable[[], float]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(collector)
        self._clock = clock
        self._kept: dict[str, tuple[float, bytes]] = {}

    def answer(self, accept: str) -> tuple[bytes, str]:
        """Return the body and its media type, in the format that a scraper accepts."""
        encoder, content_type = choose_encoder(accept)
        until, body = self._kept.get(content_type, (0.0, b""))
        if self._clock() >= until:
            body = encoder(self._registry)
            self._kept = {content_type: (self._clock() + KEPT, body)}
        return body, content_type


def _gauge(name: str, text: str, labels: Iterable[str], values: Iterable[Value]) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=tuple(labels))
    for group, value in values:
        family.add_metric(group, value)
    return family


def _counter(name: str, text: str, labels: Iterable[str], values: Iterable[Value]) -> Metric:
    family = CounterMetricFamily(f"{PREFIX}_{name}", text, labels=tuple(labels))
    for group, value in values:
        family.add_metric(group, value)
    return family

"""The metrics of a `Lifecycle`, for any registry of `prometheus_client`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import lifecycle
from lifecycle_prometheus.families import Buckets, Family, families

if TYPE_CHECKING:
    from prometheus_client.core import Metric


class Collector:
    """
    The metrics of a `Lifecycle`, for a registry of `prometheus_client`.

    The QOS port answers `GET /metrics` without this class. Use it if your app already has its own
    page for Prometheus: `REGISTRY.register(lifecycle_prometheus.Collector(life))`.

    Args:
        life: The `Lifecycle`. The default is the one that runs when the metrics are read. If none
            runs, there are no metrics.
    """

    def __init__(self, life: lifecycle.Lifecycle | None = None) -> None:
        self._life = life
        self._had_workers = False

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that a registry does not read the metrics when it gets this object."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """
        Yield all metrics.

        You can call it from any thread. It waits for the control thread, 5 s at most, and never for
        the app's event loop.
        """
        try:
            snapshot = (self._life or lifecycle.current()).snapshot()
        except lifecycle.NotRunning:
            return
        yield from map(_metric, self.families(snapshot))

    def families(self, snapshot: Mapping[str, Any]) -> Iterator[Family]:
        """Yield the metrics of one snapshot. Later snapshots are of the same app."""
        self._had_workers |= bool(snapshot.get("workers"))
        return families(snapshot, is_command=self._had_workers)


def _metric(family: Family) -> Metric:
    from prometheus_client.core import Metric  # only an app that uses this class needs the library

    metric = Metric(family.name, family.text, family.kind)
    for values, value in family.rows:
        labels = dict(zip(family.labels, values, strict=True))
        if isinstance(value, Buckets):
            for bound, count in zip(value.bounds, value.counts, strict=True):
                metric.add_sample(f"{family.name}_bucket", {**labels, "le": bound}, count)
            metric.add_sample(f"{family.name}_count", labels, value.counts[-1])
            metric.add_sample(f"{family.name}_sum", labels, value.seconds)
        else:
            metric.add_sample(family.sample, labels, float(value))
    return metric

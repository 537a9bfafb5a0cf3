"""The metrics of a snapshot: the same as those of lifecycle-prometheus."""

from __future__ import annotations

import pytest
from lifecycle_opentelemetry.readings import HISTOGRAMS, MOST, READINGS, WORKERS
from lifecycle_prometheus.families import Buckets, families

from plugins.opentelemetry.tests.snapshots import drained, started
from plugins.prometheus.tests.snapshots import probe, runs, service, snapshot, worker

SNAPSHOTS = {
    "ready": started(),
    "draining": drained(),
    "no start": snapshot(),
    "a failed probe": snapshot(probes=[probe("state"), probe("postgres", ok=False)]),
    "offline": snapshot(services=[service("a", online=False, local="no", k8s="unknown")]),
    "workers": snapshot(workers=[worker(1, 0.1), worker(2, 0.9)], oldest_in_flight=1.5),
    "no numbers": snapshot(requests=None, told_to_go=None, loop_lag=None),
    "hostile": snapshot(services=[service("\ud800"), service("x" * 9999), service("a\nb")]),
    "many": snapshot(probes=[probe(str(number)) for number in range(MOST + 5)]),
    "twice": snapshot(probes=[probe("a"), probe("a", ok=False)]),
    "runs": snapshot(
        probe_runs=[runs(kind="readiness", plugin="a"), runs(2.0, kind="liveness", plugin="a")]
    ),
}


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_the_series_are_those_of_prometheus(name):
    """Names, labels and values: so one dashboard and one alert fit both."""
    now = SNAPSHOTS[name]
    is_command = bool(now["workers"])
    theirs, texts, histograms = {}, {}, {}
    for family in families(now, is_command=is_command):
        texts[family.sample] = family.text
        for labels, value in family.rows:
            key = family.sample, tuple(zip(family.labels, labels, strict=True))
            if isinstance(value, Buckets):
                histograms[key] = value.counts[-1], value.seconds
            else:
                theirs[key] = value

    ours, ours_of_runs = {}, {}
    for reading in (*READINGS, *([WORKERS] if is_command else [])):
        for attributes, value in reading.values(now):
            assert reading.text == texts[reading.name]
            ours[reading.name, tuple(attributes.items())] = value
    for histogram in HISTOGRAMS:
        for attributes, each in histogram.values(now):
            assert histogram.text == texts[histogram.name]
            found = sum(each["counts"]), each["seconds"]
            ours_of_runs[histogram.name, tuple(attributes.items())] = found

    assert ours == theirs
    assert ours_of_runs == histograms


def test_units_do_not_change_the_names():
    """Prometheus adds a unit to a name that does not end with it, and `_ratio` for the unit 1."""
    for reading in (*READINGS, WORKERS):
        assert reading.unit == ("s" if reading.name.endswith("_seconds") else "")
        assert reading.counts == reading.name.endswith("_total")

"""Which format a client gets, and that the official parsers read both."""

from __future__ import annotations

import pytest
from lifecycle_prometheus import Collector
from lifecycle_prometheus.families import families
from lifecycle_prometheus.formats import Format, chosen, end_of, written
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from plugins.prometheus.tests.snapshots import runs, service, snapshot, worker

TEXT, OPENMETRICS = Format.TEXT, Format.OPENMETRICS
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
ACCEPTED = [
    ("", TEXT),
    ("*/*", TEXT),
    ("text/html,application/xhtml+xml,*/*;q=0.8", TEXT),
    (PROMETHEUS_2, OPENMETRICS),
    (PROMETHEUS_3, OPENMETRICS),
    ("APPLICATION/OpenMetrics-Text", OPENMETRICS),
    ("text/plain, application/openmetrics-text;q=0.9", TEXT),
    ("application/openmetrics-text;q=0.9, text/plain;q=0.8", OPENMETRICS),
    ("application/openmetrics-text;q=0, */*", TEXT),
    ("application/openmetrics-text;q=no", TEXT),
    ("application/openmetrics-text; version=no; q=nan", TEXT),
    (";;,,==;q=;,", TEXT),
    ("application/openmetrics-text;" * 1000, OPENMETRICS),
    ("\x00\xff", TEXT),
]
SNAPSHOTS = {
    "usual": snapshot(),
    "bare": snapshot(services=[], probes=[], probe_runs=[], registration_runs=[]),
    "a version before": {
        name: value
        for name, value in snapshot().items()
        if name not in ("requests", "told_to_go", "probe_runs", "registration_runs", "loop_lag")
    },
    "everything": snapshot(
        workers=[worker(7)],
        oldest_in_flight=3.5,
        start={"seconds": 3.2, "steps": [{"name": "imports", "began": 0.1, "seconds": 1.5}]},
        drain={"elapsed": 2.5},
        services=[service("a", local="yes", consul="unknown"), service("b", local="no")],
        probe_runs=[runs(0.0, 1, kind="liveness", plugin="p"), runs(5, kind="startup", plugin="p")],
    ),
}


@pytest.mark.parametrize(("accept", "format_"), ACCEPTED)
def test_the_format_that_a_client_prefers(accept, format_):
    """OpenMetrics only for a client that asks for it, whatever else it sends."""
    assert chosen(accept) is format_


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_both_formats_are_read_by_the_official_parsers(name):
    """The same samples with the same values, and the types that they should have."""
    found = SNAPSHOTS[name]
    made = list(families(found, is_command=bool(found["workers"])))
    texts = {format_: written(made, format_) + end_of(format_) for format_ in Format}
    read = {TEXT: list(plain(texts[TEXT])), OPENMETRICS: list(openmetrics(texts[OPENMETRICS]))}
    samples = {
        format_: {
            (each.name, *sorted(each.labels.items())): each.value
            for family in found
            for each in family.samples
        }
        for format_, found in read.items()
    }

    assert samples[TEXT] == samples[OPENMETRICS]
    assert {each.name: each.type for each in read[OPENMETRICS]} == {
        each.name: each.kind for each in made
    }
    assert all(each.documentation for each in read[OPENMETRICS])


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_what_the_library_writes_is_the_same(name):
    """Of the collector for a page of the app's own: the same samples in the same order."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

    class Life:
        def snapshot(self):
            return SNAPSHOTS[name]

    registry = CollectorRegistry()
    registry.register(Collector(Life()))
    theirs = {TEXT: generate_latest(registry), OPENMETRICS: generate_openmetrics(registry)}
    found = SNAPSHOTS[name]
    for format_, read in ((TEXT, plain), (OPENMETRICS, openmetrics)):
        made = families(found, is_command=bool(found["workers"]))
        ours = written(made, format_) + end_of(format_)
        assert list(read(ours)) == list(read(theirs[format_].decode()))

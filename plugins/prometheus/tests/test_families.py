"""The metrics of a snapshot: their values, and that their number is limited."""

from __future__ import annotations

import pytest
from lifecycle_prometheus.families import MOST, families
from lifecycle_prometheus.formats import Format, end_of, written
from lifecycle_prometheus.labels import LONGEST, label

from plugins.prometheus.tests.scraping import Scrape
from plugins.prometheus.tests.snapshots import probe, runs, service, snapshot, worker

HOSTILE = [
    'quoted "name"',
    "two\nlines",
    "carriage\rreturn",
    "back\\slash\\n",
    "🦆 Ente",
    "nul\x00",
    "\x1b[31mred",
    "\ud800 half of a pair",
    "\u2028",
    '"} 1\npod_lifecycle_ready 1',
    "",
    "x" * 100_000,
]


def of(format_=Format.OPENMETRICS, *, is_command=False, **changed):
    """What a scraper gets for such a snapshot."""
    text = written(families(snapshot(**changed), is_command=is_command), format_)
    return Scrape(200, format_.value, text + end_of(format_), 0.0)


def test_one_state_is_the_current_one():
    """Every other one is there too, with 0."""
    found = of(state="draining", drain={"elapsed": 2.5})

    states = {each["state"]: found.value("state", **each) for each in found.labels("state")}
    assert states.pop("draining") == 1
    assert len(states) == 6
    assert set(states.values()) == {0}
    assert found.value("drain_seconds") == 2.5
    assert of().value("drain_seconds") == 0


UNREADY = {
    "another state": {"state": "registered"},
    "draining": {"state": "draining", "drain": {"elapsed": 1}},
    "a failed probe": {"probes": [probe("state"), probe("postgres", ok=False)]},
    "a startup probe": {"probes": [probe("migrations", kind="startup", ok=False)]},
    "offline": {"services": [service("a", online=False, local="no")]},
}
READY = {
    "no services": {"services": []},
    "never asked": {"probes": []},
    "a failed liveness probe": {"probes": [probe("loop", kind="liveness", ok=False)]},
    "one of two": {"services": [service("a", online=False), service("b", local="yes")]},
}


@pytest.mark.parametrize("name", UNREADY)
def test_not_ready(name):
    """Whatever makes `/ready` false."""
    assert of(**UNREADY[name]).value("ready") == 0


@pytest.mark.parametrize("name", READY)
def test_ready(name):
    """Only what counts for readiness."""
    assert of(**READY[name]).value("ready") == 1


def test_registered_is_acknowledged():
    """Unknown is not: a series for each service in each registry."""
    found = of(services=[service("a", one="yes", two="no"), service("b", one="unknown")])

    assert found.value("registered", service="a", registry="one") == 1
    assert found.value("registered", service="a", registry="two") == 0
    assert found.value("registered", service="b", registry="one") == 0


def test_a_histogram_counts_what_is_below_each_bound():
    """As Prometheus wants it: each bucket has those of the smaller ones too."""
    some = runs(kind="readiness", plugin="pool") | {"counts": [5, 3, 0, 2], "seconds": 7.5}
    found = of(probe_runs=[some])
    of_pool = {"kind": "readiness", "probe": "pool"}

    buckets = {
        each["le"]: found.value("probe_seconds_bucket", **each)
        for each in found.labels("probe_seconds_bucket")
    }
    assert buckets == {"0.001": 5, "0.025": 8, "1.0": 8, "+Inf": 10}
    assert found.value("probe_seconds_count", **of_pool) == 10
    assert found.value("probe_seconds_sum", **of_pool) == 7.5


def test_the_start_has_its_steps_and_the_whole():
    """Once the snapshot has it."""
    steps = [{"name": "imports", "began": 0.1, "seconds": 1.5}, {"name": "main", "seconds": 0.5}]
    found = of(start={"seconds": 3.25, "steps": steps})

    assert found.value("start_seconds", step="total") == 3.25
    assert found.value("start_seconds", step="imports") == 1.5
    assert of().labels("start_seconds") == []


def test_the_oldest_in_flight():
    """Once the snapshot has it, and while there is one."""
    assert of(oldest_in_flight=12.5).value("oldest_in_flight_seconds") == 12.5
    assert of(oldest_in_flight=None).value("oldest_in_flight_seconds") is None
    assert of().value("oldest_in_flight_seconds") is None


def test_workers():
    """A command has that many; and 0 once they are gone, which an app never has."""
    two = [worker(7), worker(8)]
    assert of(workers=two, is_command=True).value("workers") == 2
    assert of(workers=[], is_command=True).value("workers") == 0
    assert of().value("workers") is None


def test_the_lag_is_that_of_the_slowest_loop():
    """Of the workers, if there are any: a healthy heartbeat may be a quarter of a second old."""
    lag = "loop_lag_seconds"
    assert of(loop_lag=1.5).value(lag) == 1.5
    assert of(loop_lag=1.5, workers=[worker(7, 0.2)]).value(lag) == 0
    assert of(workers=[worker(7, 0.2), worker(8, 3.25)]).value(lag) == 3


@pytest.mark.parametrize("format_", Format)
def test_hostile_names_stay_labels(format_):
    """Of services, registries, probes and steps: read back, bounded, and no line of their own."""
    found = of(
        format_,
        services=[service(name, **{name or "r": "yes"}) for name in HOSTILE],
        probes=[probe(name) for name in HOSTILE],
        probe_runs=[runs(kind="liveness", plugin=name) for name in HOSTILE],
        registration_runs=[runs(registry=name) for name in HOSTILE],
        start={"seconds": 1, "steps": [{"name": name, "seconds": 0.1} for name in HOSTILE]},
    )

    assert {each["service"] for each in found.labels("registered")} == {*map(label, HOSTILE)}
    assert {each["probe"] for each in found.labels("probe_ok")} == {*map(label, HOSTILE)}
    assert found.value("ready") == 1
    names = {name for name, *_ in found.samples}
    assert len(names) == len({*(name for name, *_ in of(format_, start=_start()).samples)})
    assert max(map(len, found.text.splitlines())) < 3 * LONGEST


def _start():
    return {"seconds": 1, "steps": []}


def test_what_a_label_keeps():
    """Everything that can be read back; the rest is shown as Python would."""
    assert label('a "b"\nc 🦆') == 'a "b"\nc 🦆'
    assert label("a\rb\x00") == r"a\rb\x00"
    assert label("\ud800") == r"\ud800"
    assert label(17) == "17"
    assert len(label("x" * 1000)) == LONGEST


def test_a_metric_has_a_limited_number_of_series():
    """A plugin with a name for each answer, or thousands of services, fill no Prometheus."""
    many = range(MOST + 500)
    found = of(
        services=[service(f"s{n}", local="yes") for n in many],
        probes=[probe(f"p{n}") for n in many],
        probe_runs=[runs(kind="readiness", plugin=f"p{n}") for n in many],
    )

    assert len(found.labels("registered")) == MOST
    assert len(found.labels("probe_ok")) == MOST
    assert len(found.labels("probe_seconds_count")) == MOST


def test_names_that_become_equal_are_one_series():
    """A parser refuses a second one."""
    names = ["x" * 1000 + end for end in "ab"]
    found = of(services=[service(name, local="yes") for name in names])

    assert len(found.labels("registered")) == 1

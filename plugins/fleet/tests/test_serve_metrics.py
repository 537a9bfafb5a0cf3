"""The metrics: right, and with labels that do not grow."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from lifecycle_fleet.serve.fleet import Fleet
from lifecycle_fleet.serve.labels import OTHER, Labels, label
from lifecycle_fleet.serve.metrics import FleetCollector, MetricsPage
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as text_format

from plugins.fleet.tests import pods
from plugins.fleet.tests.pods import NOW, ended, told
from plugins.fleet.tests.test_serve_fleet import Cluster, last

OPEN = "application/openmetrics-text; version=1.0.0"
SERVER = {
    "readers": 3,
    "lists": {"pods": 1, "endpointslices": 2},
    "watching": {"pods": True, "endpointslices": False},
}


def page(fleet: Fleet, clock: Any = lambda: 0.0) -> MetricsPage:
    """Return the page of a fleet."""
    return MetricsPage(FleetCollector(fleet, lambda: SERVER), clock)


def values(fleet: Fleet, accept: str = "") -> dict[tuple[str, ...], float]:
    """Return the series: name and values of the labels, with their values."""
    body, content_type = page(fleet).answer(accept)
    parser = open_metrics if content_type.startswith("application/openmetrics") else text_format
    return {
        (each.name.removeprefix("pod_lifecycle_fleet_"), *_ordered(each.labels)): each.value
        for family in parser(body.decode())
        for each in family.samples
    }


def _ordered(labels: dict[str, str]) -> list[str]:
    order = ("namespace", "workload", "state", "how", "kind")
    return [labels[each] for each in order if each in labels]


def some() -> Cluster:
    """Return a cluster with a bit of everything."""
    cluster = Cluster()
    cluster.put(pods.pod("orders-5f-a"), "u1")
    cluster.put(pods.pod("orders-5f-b", restarts=2, last=ended(137)), "u2")
    cluster.put(pods.pod("orders-5f-c", annotation=told("draining", since=NOW), ready=False), "u3")
    cluster.put(pods.pod("mail-0", "post", workload=("StatefulSet", "mail")), "u4")
    cluster.put(last(124, "orders-5f-d"), "u5")
    cluster.slices(**{"orders-5f-a": True, "orders-5f-b": True, "orders-5f-c": False})
    cluster.delete("orders-5f-d")
    cluster.shown()
    return cluster


ORDERS = ("shop", "deploy/orders")


def test_the_numbers() -> None:
    """By workload, in both formats."""
    cluster = some()
    expected = {
        ("pods", *ORDERS, "ready"): 2,
        ("pods", *ORDERS, "draining"): 1,
        ("pods", "post", "sts/mail", "ready"): 1,
        ("pods_ready", *ORDERS): 2,
        ("pods_ready", "post", "sts/mail"): 1,
        ("pods_in_slices", *ORDERS): 2,
        ("pods_in_slices", "post", "sts/mail"): 0,
        ("pods_with_problem", *ORDERS): 1,
        ("restarts", *ORDERS): 2,
        ("pods_ended_total", *ORDERS, "cut off"): 1,
        ("watching", "pods"): 1,
        ("watching", "endpointslices"): 0,
        ("lists_total", "pods"): 1,
        ("lists_total", "endpointslices"): 2,
        ("readers",): 3,
        ("last_change_timestamp_seconds",): NOW,
    }
    for accept in ("", OPEN):
        found = values(cluster.fleet, accept)
        assert {name: found.get(name) for name in expected} == expected


def test_no_label_is_a_pod() -> None:
    """However many pods a workload has, it has the same series."""
    small, large = Cluster(), Cluster()
    for number in range(300):
        small.put(pods.pod("orders-5f-a"), "u")
        large.put(pods.pod(f"orders-5f-{number}"), f"u{number}")
    small.shown()
    large.shown()

    assert values(small.fleet).keys() == values(large.fleet).keys()


def test_workloads_have_a_limit() -> None:
    """The rest is counted together, and nothing is lost."""
    cluster = Cluster()
    for number in range(1300):
        cluster.put(pods.pod(f"w{number}-5f-a"), f"u{number}")
    cluster.shown()
    found = {name: value for name, value in values(cluster.fleet).items() if name[0] == "pods"}

    assert len(found) == 1001
    assert found["pods", "", "other", "ready"] == 300
    assert sum(found.values()) == 1300


def test_the_runs_of_a_cron_job_are_one_workload() -> None:
    """Each run has a Job of its own, whose name ends with its minute."""
    assert label("job/backup-29387520") == label("job/backup-29387580") == "job/backup-*"
    assert label("job/import-2024") == "job/import-2024"
    assert label("deploy/orders-12345678") == "deploy/orders-12345678"
    assert len(label("rs/" + "x" * 500)) == 200


@given(st.lists(st.tuples(st.text(max_size=2), st.text(max_size=2)), max_size=30))
def test_labels_stay(workloads: list[tuple[str, str]]) -> None:
    """A workload keeps its labels, and there are never more than the limit."""
    labels = Labels(3)
    first = {each: labels.of(each) for each in workloads}

    assert {each: labels.of(each) for each in workloads} == first
    assert len(set(first.values()) - {OTHER}) <= 3


@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from(["", OPEN]))
def test_hostile_names(namespace: str, owner: str, accept: str) -> None:
    """Whatever a workload is called, both formats can be read."""
    cluster = Cluster()
    cluster.put(pods.pod("x", namespace, workload=("Odd\nKind", owner)))
    cluster.shown()

    assert (
        sum(value for name, value in values(cluster.fleet, accept).items() if name[0] == "pods")
        == 1
    )


@given(st.text(max_size=60))
def test_hostile_headers(accept: str) -> None:
    """Whatever a client accepts, it gets metrics."""
    body, content_type = page(Cluster().fleet).answer(accept)

    assert b"pod_lifecycle_fleet_readers 3.0" in body
    assert content_type


def test_an_answer_is_kept_for_a_second() -> None:
    """Many scrapers cost as much as one."""
    cluster, time = some(), [0.0]
    kept = page(cluster.fleet, lambda: time[0])
    first = kept.answer("")
    cluster.delete("mail-0")
    cluster.shown()

    time[0] = 0.9
    assert kept.answer("") is not None
    assert kept.answer("") == first
    time[0] = 1.0
    assert kept.answer("") != first

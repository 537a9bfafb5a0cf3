"""The dashboard, the alerts and the queries for scaling, on a real Prometheus with our metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from lifecycle_prometheus.families import families
from lifecycle_prometheus.formats import Format, written

from lifecycle.states import State
from plugins.prometheus.tests.server import Prometheus, prometheus, promtool, target
from plugins.prometheus.tests.snapshots import probe, runs, service, snapshot, worker
from tests.docs.pages import ROOT
from tests.process.kit import wait_for

DASHBOARD: Final = json.loads((ROOT / "docs/metrics/dashboard.json").read_text(encoding="utf-8"))
PANELS: Final = [each for each in DASHBOARD["panels"] if each["type"] != "row"]
RULE: Final = yaml.safe_load((ROOT / "docs/metrics/alerts.yaml").read_text(encoding="utf-8"))
ALERTS: Final = {each["alert"]: each for group in RULE["spec"]["groups"] for each in group["rules"]}
KEDA: Final = yaml.safe_load((ROOT / "examples/kubernetes/keda.yaml").read_text(encoding="utf-8"))
VARIABLES: Final = {"$namespace": "shop", "$pod": ".*", "$__rate_interval": "5s"}
START: Final = {"seconds": 3.0, "steps": [{"name": "imports", "began": 0.1, "seconds": 1.5}]}

Change = Callable[[int], dict[str, Any]]


def healthy(scrape: int) -> dict[str, Any]:
    """An app that serves more with each scrape."""
    return {
        "requests": 100 * scrape,
        "start": START,
        "workers": [worker(7), worker(8)],
        "oldest_in_flight": 0.5,
        "probe_runs": [runs(0.02, scrape, kind="readiness", plugin="postgres")],
    }


def sick(scrape: int) -> dict[str, Any]:
    """An app that is READY, and has every trouble at once."""
    return healthy(scrape) | {
        "probes": [probe("postgres", ok=False), probe("loop", ok=False, kind="liveness")],
        "services": [service("orders", consul="unknown")],
        "workers": [],
        "loop_lag": 9.0,
        "probe_runs": [runs(0.7, scrape, kind="readiness", plugin="postgres")],
    }


def starting(scrape: int) -> dict[str, Any]:
    """An app that has not become READY."""
    return healthy(scrape) | {"state": "starting", "services": []}


def draining(scrape: int) -> dict[str, Any]:
    """An app whose drain takes long."""
    return healthy(scrape) | {
        "state": "draining",
        "drain": {"elapsed": 26.5},
        "oldest_in_flight": 40.0,
        "told_to_go": 3 * scrape,
    }


PODS: Final[dict[str, Change]] = {
    "orders-7d9f6c5b8-wells": healthy,
    "orders-7d9f6c5b8-sick2": sick,
    "orders-7d9f6c5b8-start": starting,
    "orders-7d9f6c5b8-drain": draining,
}
FIRING: Final = {
    "PodLifecycleStartTakesLong": {"orders-7d9f6c5b8-start"},
    "PodLifecycleNotReady": {"orders-7d9f6c5b8-sick2"},
    "PodLifecycleNotRegistered": {"orders-7d9f6c5b8-sick2"},
    "PodLifecycleLivenessFails": {"orders-7d9f6c5b8-sick2"},
    "PodLifecycleProbeSlow": {"orders-7d9f6c5b8-sick2"},
    "PodLifecycleLoopBlocked": {"orders-7d9f6c5b8-sick2"},
    "PodLifecycleNoWorkers": {"orders-7d9f6c5b8-sick2"},
    "PodLifecycleDrainTakesLong": {"orders-7d9f6c5b8-drain"},
}
"""The pods about which each alert is."""


def page_of(change: Change) -> Callable[[], str]:
    """Return what makes the metrics of a pod, anew for each scrape."""
    scrapes = count(1)

    def make() -> str:
        return written(families(snapshot(**change(next(scrapes))), is_command=True), Format.TEXT)

    return make


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus with the alerts, which do not wait, and some scrapes of each pod."""
    groups = json.loads(json.dumps(RULE["spec"]["groups"]))
    for group in groups:
        for rule in group["rules"]:
            rule.pop("for", None)
    with ExitStack() as stack:
        pods = {name: stack.enter_context(target(page_of(each))) for name, each in PODS.items()}
        folder = tmp_path_factory.mktemp("prometheus")
        server = stack.enter_context(prometheus(folder, pods, {"groups": groups}))
        server.until(f"count(rate(pod_lifecycle_requests_total[5s])) == {len(PODS)}")
        yield server


def filled(expression: str) -> str:
    """Put values for the variables of Grafana."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_every_panel_has_data(server: Prometheus, panel: dict[str, Any]) -> None:
    """Each of its expressions, with the labels that its legend names."""
    for each in panel["targets"]:
        found = wait_for(lambda each=each: server.query(filled(each["expr"])), 20, each["expr"])
        wanted = set(re.findall(r"\{\{(\w+)\}\}", each["legendFormat"]))
        assert all(wanted <= labels.keys() for labels, _ in found)
        assert all(value == value for _, value in found), "not a number"


def test_the_annotation_and_the_variables(server: Prometheus) -> None:
    """The drains on the time axis, and the lists at the top."""
    (drains,) = DASHBOARD["annotations"]["list"]
    assert [labels["pod"] for labels, _ in server.query(filled(drains["expr"]))] == [
        "orders-7d9f6c5b8-drain"
    ]
    queries = {each["name"]: each.get("query") for each in DASHBOARD["templating"]["list"]}
    for name in ("namespace", "pod"):
        where, label = re.fullmatch(r"label_values\((.*), (\w+)\)", queries[name]["query"]).groups()  # type: ignore[union-attr]
        found = server.ask(f"label/{label}/values", **{"match[]": filled(where)})
        assert found == (["shop"] if name == "namespace" else sorted(PODS))


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_about_the_pods_in_trouble(server: Prometheus, name: str) -> None:
    """About these, and about no healthy one."""
    found = server.until(ALERTS[name]["expr"])

    assert {labels["pod"] for labels, _ in found} == FIRING[name]


def test_prometheus_itself_fires_them(server: Prometheus) -> None:
    """As it loads the file; the texts name the pod."""

    def firing() -> list[dict[str, Any]]:
        found = server.ask("alerts")["alerts"]
        return found if {each["labels"]["alertname"] for each in found} == {*FIRING} else []

    for each in wait_for(firing, 20, "all alerts"):
        texts = " ".join(each["annotations"].values())
        assert f"shop/{each['labels']['pod']}" in texts
        assert "no value" not in texts
        assert "error" not in texts


def test_the_rules_are_checked_by_promtool(tmp_path: Path) -> None:
    """The linter of Prometheus has no complaint."""
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"groups": RULE["spec"]["groups"]}))

    assert promtool("check", "rules", "--lint=all", "--lint-fatal", str(path)) == ""


def test_what_is_scaled_by(server: Prometheus) -> None:
    """The requests in flight of READY pods: a draining one gets no new ones."""
    (trigger,) = KEDA["spec"]["triggers"]
    query = trigger["metadata"]["query"].replace('"default"', '"shop"')
    [(_, in_flight)] = server.query(query)

    assert in_flight == 2 * snapshot()["in_flight"]


def test_each_metric_is_on_the_dashboard() -> None:
    """All that there are, at least once; and nothing that is no metric."""
    named = {
        name
        for panel in PANELS
        for each in panel["targets"]
        for name in re.findall(r"pod_lifecycle_\w+", each["expr"])
    }
    there = set()
    for each in families(snapshot(**healthy(1)), is_command=True):
        there.add(f"{each.name}_bucket" if each.kind == "histogram" else each.sample)

    assert named == there


def test_the_panels_do_not_overlap() -> None:
    """As Grafana places them: 24 columns, each panel in its place."""
    taken = set()
    for each in DASHBOARD["panels"]:
        at = each["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken
        taken |= cells
    ids = [each["id"] for each in DASHBOARD["panels"]]
    assert len({*ids}) == len(ids)
    assert all(each["description"] for each in PANELS)


def test_the_page_lists_each_metric_with_its_type_and_labels() -> None:
    """In the table of docs/metrics.md, as a scraper gets them."""
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    told = {
        name: (kind, set(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in re.findall(
            r"^\| `(pod_lifecycle_\w+)` \| (\w+) \|([^|]*)\|", page, re.MULTILINE
        )
    }
    there = {
        each.sample: (each.kind, {*each.labels})
        for each in families(snapshot(**healthy(1)), is_command=True)
    }

    assert told == there


def test_the_page_lists_the_states() -> None:
    """All of them, as values of the label."""
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| `pod_lifecycle_state` .*", page, re.MULTILINE)

    assert [each for each in re.findall(r"`(\w+)`", row) if each in set(State)] == [*State]


def test_the_page_names_the_thresholds_of_the_alerts() -> None:
    """In its table of alerts whose thresholds depend on settings."""
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `(PodLifecycle\w+)` \| ([\d.]+) s \|", page, re.MULTILINE))

    assert told == {
        name: threshold
        for name, each in ALERTS.items()
        for threshold in re.findall(r"> ([\d.]+)\s*$", each["expr"])
    }


def test_the_autoscaler_uses_a_metric_of_ours() -> None:
    """And its rule for the adapter, in the comment at the top, selects the same one."""
    text = (ROOT / "examples/kubernetes/hpa.yaml").read_text(encoding="utf-8")
    scaler = yaml.safe_load(text)
    rules = yaml.safe_load("\n".join(re.findall(r"^#   (.*)$", text, re.MULTILINE)))
    (metric,) = scaler["spec"]["metrics"]
    (rule,) = rules["rules"]["custom"]

    assert metric["pods"]["metric"]["name"] == "pod_lifecycle_in_flight"
    assert rule["seriesQuery"].startswith("pod_lifecycle_in_flight{")
    for each in (scaler, KEDA):
        assert each["spec"]["scaleTargetRef"]["name"] == "orders"

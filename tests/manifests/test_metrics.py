"""`lifecycle manifests --metrics`: how Prometheus finds the pods."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from lifecycle.calls.entry_points import EntryPoint
from lifecycle.checks.check import check
from lifecycle.checks.reading.documents import documents
from lifecycle.cli.manifests import run as manifests
from lifecycle.cli.parser import make_parser
from lifecycle.links import docs_page
from lifecycle.manifests import metrics
from lifecycle.manifests.objects import objects
from lifecycle.manifests.output import as_yaml, component
from lifecycle.manifests.validation import Refused
from tests.docs.pages import ROOT, anchors
from tests.manifests.making import ASGI, BASE, made, plan
from tests.manifests.test_manifests import PROFILES

SERVED = ["--service", "orders:8080"]
POINT = EntryPoint("prometheus", "lifecycle_prometheus.plugin:PrometheusPlugin")


def annotations(found: dict[str, Any]) -> dict[str, str]:
    """Return those of the pod."""
    template = (found.get("Deployment") or found["Job"])["spec"]["template"]
    return {
        name: value
        for name, value in template["metadata"].get("annotations", {}).items()
        if name.startswith("prometheus.io/")
    }


def test_nothing_unless_it_is_wanted() -> None:
    """Neither a PodMonitor, whose kind a cluster may not know, nor annotations."""
    found = made(*SERVED)

    assert "PodMonitor" not in found
    assert annotations(found) == {}


@pytest.mark.parametrize("profile", PROFILES)
def test_annotations(profile: str) -> None:
    """On the pod, beside those of a mesh, with the number of the QOS port, as texts."""
    env = {"LIFECYCLE_QOS_PORT": "33333"}
    found = made("--metrics=annotations", f"--profile={profile}", **env)

    assert annotations(found) == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "33333",
        "prometheus.io/path": "/metrics",
    }
    assert "PodMonitor" not in found
    told = yaml.safe_load_all(as_yaml(objects(plan("--metrics=annotations", **env))))
    assert all(
        type(each) is str for each in annotations({each["kind"]: each for each in told}).values()
    )


@pytest.mark.parametrize("profile", PROFILES)
def test_a_pod_monitor(profile: str) -> None:
    """It selects these pods, and names a port that they have."""
    found = made("--metrics=podmonitor", f"--profile={profile}")
    pod = (found.get("Deployment") or found["Job"])["spec"]["template"]
    monitor = found["PodMonitor"]["spec"]
    [endpoint] = monitor["podMetricsEndpoints"]

    assert monitor["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert endpoint["path"] == "/metrics"
    assert endpoint["port"] in {each["name"] for each in pod["spec"]["containers"][0]["ports"]}
    assert annotations(found) == {}


@pytest.mark.parametrize("way", metrics.WAYS)
def test_an_existing_deployment(way: str) -> None:
    """A component takes the labels of the Deployment for the PodMonitor, as for the budget."""
    files = component(plan("-o=kustomize", "--to=x", f"--metrics={way}"))
    patch = yaml.safe_load(files["patch.yaml"])
    [replacement] = yaml.safe_load(files["kustomization.yaml"])["replacements"]
    kinds = [each["select"]["kind"] for each in replacement["targets"]]
    there = [each["kind"] for each in yaml.safe_load_all(files["resources.yaml"])]

    assert bool(annotations({"Deployment": patch})) is (way == "annotations")
    assert ("PodMonitor" in kinds) is ("PodMonitor" in there) is (way == "podmonitor")
    assert "PodDisruptionBudget" in kinds


@pytest.mark.parametrize("way", metrics.WAYS)
def test_they_pass_the_check(way: str) -> None:
    """As everything that is written does."""
    assert check(documents(as_yaml(objects(plan(*SERVED, f"--metrics={way}"))))) == ([], {})


REFUSED = [
    ({"LIFECYCLE_PLUGINS": "audit, no:prometheus"}, "turns it off with no:prometheus"),
    ({"LIFECYCLE_PROMETHEUS_LEVEL": "private"}, "LIFECYCLE_PROMETHEUS_LEVEL is private"),
]


@pytest.mark.parametrize(("variables", "words"), REFUSED)
def test_an_app_that_prometheus_cannot_scrape(variables: dict[str, str], words: str) -> None:
    """The manifest would promise what the app refuses."""
    with pytest.raises(Refused, match=words):
        plan(*SERVED, "--metrics=annotations", **variables)
    assert plan(*SERVED, **variables).metrics == ""


def test_a_command_without_the_plugin() -> None:
    """It turns the plugin off itself."""
    with pytest.raises(Refused, match="the app's command turns it off with no:prometheus"):
        plan(
            "--metrics=annotations", command=["lifecycle", "run", "-p", "no:prometheus", *ASGI[2:]]
        )


@pytest.mark.parametrize(("way", "beside"), [("podmonitor", True), ("annotations", False)])
def test_prometheus_reaches_a_pod_in_a_mesh(way: str, beside: bool) -> None:
    """Prometheus has no certificate of the mesh, so the QOS port bypasses the sidecar."""
    template = made("--profile=sidecar-istio", f"--metrics={way}")["Deployment"]["spec"]["template"]
    excluded = template["metadata"]["annotations"].get(
        "traffic.sidecar.istio.io/excludeInboundPorts"
    )

    assert excluded == ("22222" if beside else None)


@pytest.mark.parametrize("points", [(), (POINT,)])
def test_a_plugin_that_is_not_here(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    points: tuple[EntryPoint, ...],
) -> None:
    """It may be in the image, so this is a warning."""
    monkeypatch.setattr(metrics, "entry_points", lambda _: list(points))
    words = ["manifests", *BASE, "--metrics=annotations", "--no-readiness-gate", "--", *ASGI]

    assert manifests(make_parser().parse_args(words)) == 0
    said = capsys.readouterr().err
    assert ("needs lifecycle-prometheus in the image" in said) is (points == ())
    if not points:
        assert docs_page("errors.md#metrics-need-the-plugin") in said
        assert "metrics-need-the-plugin" in anchors(ROOT / "docs" / "errors.md")

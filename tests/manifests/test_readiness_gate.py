"""The readiness gate: written where lifecycle-kubernetes is, and never without a word about it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lifecycle.calls.entry_points import EntryPoint
from lifecycle.cli.manifests import run as manifests
from lifecycle.cli.parser import make_parser
from lifecycle.links import docs_page
from lifecycle.manifests import readiness_gate
from lifecycle.manifests.names import REGISTERED
from lifecycle.manifests.validation import Refused
from tests.docs.pages import ROOT, anchors
from tests.manifests.making import ASGI, BASE, made, plan, pod

SERVED = ["--service", "orders:8080"]
PLUGIN = EntryPoint("kubernetes", "lifecycle_kubernetes.plugin:Kubernetes")
NEVER = "never becomes Ready"


def install(monkeypatch: pytest.MonkeyPatch, *points: EntryPoint) -> None:
    """Let these plugins be the ones that are installed here."""
    monkeypatch.setattr(readiness_gate, "entry_points", lambda _: list(points))


def is_gated(*words: str, **environ: str) -> bool:
    """Tell whether the pod waits for the plugin; its rights and its token come with the gate."""
    found = made(*words, **environ)
    gated = pod(found).get("readinessGates") == [{"conditionType": REGISTERED}]
    assert gated is ("Role" in found) is pod(found)["automountServiceAccountToken"]
    return gated


def written(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, Any], str]:
    """Run the command; return the pod's spec and what it says beside it."""
    assert manifests(make_parser().parse_args(["manifests", *BASE, *words, "--", *ASGI])) == 0
    out, err = capsys.readouterr()
    items = json.loads(out)["items"]
    (found,) = (each["spec"]["template"]["spec"] for each in items if each["kind"] == "Deployment")
    return found, err


def test_the_default_is_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the plugin a gate would keep every pod out of traffic for good."""
    install(monkeypatch)
    assert not is_gated(*SERVED)

    install(monkeypatch, EntryPoint("kubernetes", "another.plugin:Plugin"))
    assert not is_gated(*SERVED)

    install(monkeypatch, PLUGIN)
    assert is_gated(*SERVED)


@pytest.mark.parametrize(
    "variables",
    [
        {"LIFECYCLE_PLUGINS": "audit,no:kubernetes"},
        {"LIFECYCLE_KUBERNETES_ENABLED": "False"},
    ],
)
def test_a_plugin_that_the_app_turns_off(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """The app would never set the gate, whatever is installed."""
    install(monkeypatch, PLUGIN)

    assert not is_gated(*SERVED, **variables)


@pytest.mark.parametrize("points", [(), (PLUGIN,)])
def test_an_option_decides(monkeypatch: pytest.MonkeyPatch, points: tuple[EntryPoint, ...]) -> None:
    """The laptop that writes a manifest need not have what the image has."""
    install(monkeypatch, *points)

    assert is_gated(*SERVED, "--readiness-gate")
    assert not is_gated(*SERVED, "--no-readiness-gate")
    assert not is_gated(*SERVED, "--no-registry")


def test_a_gate_comes_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard error tells what an image without the plugin does, and the way out."""
    install(monkeypatch)

    spec, err = written(capsys, *SERVED, "--readiness-gate", "-o", "json")

    assert "readinessGates" in spec
    assert NEVER in err
    assert "--no-readiness-gate" in err
    assert docs_page("kubernetes.md#the-readiness-gate") in err
    assert "the-readiness-gate" in anchors(ROOT / "docs" / "kubernetes.md")


def test_no_gate_without_the_plugin_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An image that has the plugin needs the gate: standard error names the option."""
    install(monkeypatch)

    spec, err = written(capsys, *SERVED, "-o", "json")

    assert "readinessGates" not in spec
    assert "lifecycle-kubernetes is not installed" in err
    assert "--readiness-gate" in err


@pytest.mark.parametrize(
    "words", [[*SERVED, "--no-readiness-gate"], [*SERVED, "--no-registry"], []]
)
def test_nothing_is_said_where_nothing_is_open(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """No gate by choice, or nothing to register, needs no word."""
    install(monkeypatch)

    assert written(capsys, *words, "-o", "json")[1] == ""


@pytest.mark.parametrize("words", [[], ["--profile", "job"]])
def test_a_gate_without_a_service_is_refused(words: list[str]) -> None:
    """The plugin sets the condition when a service is registered: no service, no Ready pod."""
    with pytest.raises(Refused, match="--readiness-gate needs an app service"):
        plan(*words, "--readiness-gate")

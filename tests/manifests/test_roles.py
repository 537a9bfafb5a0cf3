"""The Roles of the manifests: what the plugin needs, and no more."""

from __future__ import annotations

import pytest

from lifecycle.manifests import readiness_gate
from tests.manifests.making import made, pod

REGISTERS = {
    ("pods", "get"),
    ("pods", "watch"),
    ("pods/status", "patch"),
    ("endpointslices", "list"),
    ("endpointslices", "watch"),
}


SERVED = ("--service", "orders:8080", "--readiness-gate")


def allowed(*words: str, **environ: str) -> set[tuple[str, str]]:
    """Return what the Role allows. The token is mounted if it allows anything."""
    found = made(*words, **environ)
    rules = found.get("Role", {"rules": []})["rules"]
    assert bool(rules) is ("RoleBinding" in found) is ("Role" in found)
    assert pod(found)["automountServiceAccountToken"] is bool(rules)
    assert found["ServiceAccount"]["automountServiceAccountToken"] is bool(rules)
    return {(r, v) for rule in rules for r in rule["resources"] for v in rule["verbs"]}


@pytest.mark.parametrize(
    ("events", "status", "more"),
    [
        (None, None, {("events", "create")}),
        ("all", "true", {("events", "create")}),
        ("Draining,CutOff", "false", {("events", "create")}),
        ("none", "true", set()),
        (" None ", "off", set()),
    ],
)
def test_the_role_allows_what_the_plugin_needs_and_no_more(
    events: str | None, status: str | None, more: set[tuple[str, str]]
) -> None:
    """Its own pod's condition and annotations, a look at the endpoint slices, and its Events."""
    environ = {"LIFECYCLE_KUBERNETES_EVENTS": events, "LIFECYCLE_KUBERNETES_STATUS": status}
    given = {name: value for name, value in environ.items() if value is not None}

    assert allowed(*SERVED, **given) == REGISTERS | more


@pytest.mark.parametrize(
    ("environ", "rights"),
    [
        ({}, {("pods", "get"), ("pods/status", "patch"), ("events", "create")}),
        ({"LIFECYCLE_KUBERNETES_EVENTS": "none"}, {("pods", "get"), ("pods/status", "patch")}),
        ({"LIFECYCLE_KUBERNETES_STATUS": "false"}, {("pods", "get"), ("events", "create")}),
        (
            {"LIFECYCLE_KUBERNETES_STATUS": "false", "LIFECYCLE_KUBERNETES_EVENTS": "none"},
            set(),
        ),
        ({"LIFECYCLE_KUBERNETES_ENABLED": "false"}, set()),
        ({"LIFECYCLE_PLUGINS": "no:kubernetes"}, set()),
    ],
)
def test_an_app_without_services_may_report_its_state(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], rights: set[tuple[str, str]]
) -> None:
    """A worker has no gate to wait at and nothing to watch."""
    monkeypatch.setattr(readiness_gate, "is_installed", lambda: True)

    assert allowed(**environ) == rights
    assert "readinessGates" not in pod(made(**environ))


@pytest.mark.parametrize(
    "words",
    [["--service", "orders:8080", "--no-registry"], ["--no-readiness-gate"], ["--profile", "job"]],
)
def test_nothing_to_register_and_nothing_to_report(
    monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """For an image without the plugin, and for a job, there is no Role, and no token is mounted."""
    monkeypatch.setattr(readiness_gate, "is_installed", lambda: True)

    assert allowed(*words) == set()
    assert "readinessGates" not in pod(made(*words))

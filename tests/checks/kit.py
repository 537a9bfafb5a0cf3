"""Manifests in a line, and what is found in them."""

from __future__ import annotations

from typing import Any

from lifecycle.checks.check import check
from lifecycle.checks.reading import documents, from_objects
from lifecycle.checks.rule import Finding

QOS = {
    "startupProbe": {"httpGet": {"path": "/startup", "port": 22222}},
    "readinessProbe": {"httpGet": {"path": "/ready", "port": 22222}},
    "livenessProbe": {"httpGet": {"path": "/live", "port": 22222}},
}
RUN = {"command": ["lifecycle", "run", "orders:main"]}
PRESTOP = {"lifecycle": {"preStop": {"exec": {"command": ["lifecycle", "prestop"]}}}}


def env(**variables: str) -> dict[str, Any]:
    """Make a container's env."""
    return {"env": [{"name": name, "value": value} for name, value in variables.items()]}


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """Make a pod."""
    named = [{"name": f"c{at}", **each} for at, each in enumerate(containers)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "orders"},
        "spec": {"containers": named, **spec},
    }


def owner(kind: str, made: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """Make a Deployment or the like of a pod."""
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "orders"},
        "spec": {"template": {"spec": made["spec"]}, **spec},
    }


def found(*objects: dict[str, Any]) -> list[Finding]:
    """Check objects that are in memory."""
    findings, unreadable = check(from_objects(objects))
    assert unreadable == {}
    return findings


def found_in(text: str) -> list[Finding]:
    """Check a file's text."""
    findings, unreadable = check(documents(text, "f.yaml"))
    assert unreadable == {}
    return findings


def said(findings: list[Finding]) -> list[str]:
    """Return them as `severity rule`."""
    return [f"{each.severity} {each.rule.name}" for each in findings]

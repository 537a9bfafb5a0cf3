"""Manifests in a line, and what is found in them."""

from __future__ import annotations

from typing import Any, NamedTuple

from lifecycle.checks.check import check, misspelt, not_checked
from lifecycle.checks.reading.documents import documents, from_objects
from lifecycle.checks.reading.gathering import gather
from lifecycle.checks.rule import Finding
from lifecycle.checks.workloads.workload import Surroundings

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


WEB = {"ports": [{"containerPort": 8080}]}


def sleep(*command: str) -> dict[str, Any]:
    """Make a preStop of a command."""
    return {"lifecycle": {"preStop": {"exec": {"command": list(command)}}}}


def http(token: str | None) -> dict[str, Any]:
    """Make a preStop that asks /prestop, with a token or without."""
    headers = [] if token is None else [{"name": "x-lifecycle-token", "value": token}]
    return {
        "lifecycle": {
            "preStop": {"httpGet": {"path": "prestop", "port": 22222, "httpHeaders": headers}}
        }
    }


def probe(kind: str, handler: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Make one of the three probes."""
    return {f"{kind}Probe": {**handler, **more}}


def get(path: str, port: object = 8080, **more: Any) -> dict[str, Any]:
    """Make a probe's httpGet."""
    return {"httpGet": {"path": path, "port": port, **more}}


START = probe("startup", get("/s"))
SH = ["sh", "-c"]
SERVED = RUN | QOS | PRESTOP
MANAGED = {"command": ["uvicorn", "a:b"]} | QOS
TOKEN = "0123456789abcdef"
GATE = {"readinessGates": [{"conditionType": "pod-lifecycle.dev/registered"}]}
ON_NODE = {"hostNetwork": True}


class Said(NamedTuple):
    """What the command says of some files: findings as `severity rule`, and sentences."""

    findings: list[str]
    unreadable: list[str]
    notes: list[str]


def look(*files: str) -> Said:
    """Check files as the command does."""
    gathered = gather(files)
    around = Surroundings(gathered.documents, gathered.replicas)
    findings, wrong = check(gathered.documents, around)
    notes = (gathered.notes, misspelt(gathered.documents, around), not_checked(around))
    return Said(
        said(findings),
        [one for part in (gathered.unreadable, wrong) for each in part.values() for one in each],
        [one for part in notes for each in part.values() for one in each],
    )

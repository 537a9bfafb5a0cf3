"""Findings as JSON and as SARIF, for programs; as text they are in `text.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from lifecycle.checks.foreign import Foreign
from lifecycle.checks.rule import Finding
from lifecycle.checks.rules import RULES
from lifecycle.checks.texts import STDIN
from lifecycle.version import VERSION

SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


@dataclass(frozen=True)
class Report:
    """
    What there is to say.

    Attributes:
        findings: Where rules are broken.
        unreadable: By file, what could not be read, and why.
        notes: By file, what else its author should know: nothing that makes the command fail.
        workloads: How many whole workloads were checked.
        partial: How many are patches and the like, and were judged by what they say alone.
        idle: How many files hold no workload.
        passed_over: Of these, how many hold no Kubernetes object, by what they are.
    """

    findings: Sequence[Finding]
    unreadable: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    workloads: int = 0
    partial: int = 0
    idle: int = 0
    passed_over: Mapping[Foreign, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether everything was read."""
        return not any(self.unreadable.values())


def as_json(report: Report) -> str:
    """Write findings for programs."""
    return _dumped(
        {
            "findings": [
                {
                    "rule": each.rule.name,
                    "severity": each.severity,
                    "file": each.file,
                    "line": each.line,
                    "path": each.path,
                    "object": each.object,
                    "message": each.message,
                    "why": each.rule.why,
                    "fix": each.rule.fix,
                    "sources": each.rule.sources,
                }
                for each in report.findings
            ],
            "unreadable": {file: said for file, said in report.unreadable.items() if said},
            "notes": {file: said for file, said in report.notes.items() if said},
            "workloads": report.workloads,
            "partial_documents": report.partial,
            "files_without_workload": report.idle,
            "passed_over": {
                each.name.lower(): number for each, number in report.passed_over.items()
            },
        }
    )


def as_sarif(report: Report) -> str:
    """Write findings as SARIF 2.1.0, which code hosts show beside the lines."""
    names = list(RULES)
    driver = {
        "name": "lifecycle check",
        "version": VERSION,
        "rules": [
            {
                "id": rule.name,
                "shortDescription": {"text": rule.title},
                "fullDescription": {"text": rule.why},
                "help": {"text": f"{rule.fix} Sources: {', '.join(rule.sources)}"},
                "defaultConfiguration": {"level": rule.severity},
            }
            for rule in RULES.values()
        ],
    }
    problems = [
        {"level": level, "message": {"text": f"{shown(file)}: {sentence}"}}
        for level, said in (("error", report.unreadable), ("note", report.notes))
        for file, sentences in said.items()
        for sentence in sentences
    ]
    invocation = {
        "executionSuccessful": report.complete,
        "toolExecutionNotifications": problems,
    }
    results = [
        {
            "ruleId": each.rule.name,
            "ruleIndex": names.index(each.rule.name),
            "level": each.severity,
            "message": {"text": f"{each.object}: {each.message}. {each.rule.fix}"},
            "locations": [_location(each)],
        }
        for each in report.findings
    ]
    return _dumped(
        {
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [{"tool": {"driver": driver}, "invocations": [invocation], "results": results}],
        }
    )


def _location(finding: Finding) -> dict[str, Any]:
    file = "stdin" if finding.file == STDIN else finding.file
    uri = quote(file.encode(errors="surrogateescape"))
    physical: dict[str, Any] = {"artifactLocation": {"uri": uri}}
    if finding.line:
        physical["region"] = {"startLine": finding.line}
    logical = {"fullyQualifiedName": f"{finding.object}: {finding.path}"}
    return {"physicalLocation": physical, "logicalLocations": [logical]}


def shown(file: str) -> str:
    """Return a file as messages name it."""
    return "(stdin)" if file == STDIN else file


def _dumped(value: Any) -> str:
    # A lone surrogate, of a name or a file's name, is nothing that JSON's readers take.
    text = json.dumps(value, ensure_ascii=False).encode(errors="replace")
    return json.dumps(json.loads(text), indent=2)

"""Findings as text, as JSON, as SARIF."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from lifecycle.checks.reading import STDIN
from lifecycle.checks.rule import Finding, Severity
from lifecycle.checks.rules import RULES
from lifecycle.version import VERSION

PAGE: Final = "docs/checks.md"
SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def as_text(findings: Sequence[Finding], unreadable: Mapping[str, str]) -> str:
    """Write findings for people: the place first, so that an editor can jump to it."""
    lines: list[str] = []
    for each in findings:
        place = f"{_shown(each.file)}:{each.line}" if each.line else _shown(each.file)
        lines += [
            f"{place}: {each.severity}: {each.rule.name}: {each.object}: {each.message}",
            f"    at:  {each.path}",
            f"    why: {' '.join(each.rule.why.split())}",
            f"    fix: {each.rule.fix}",
        ]
    lines += [f"{_shown(file)}: unreadable: {why}" for file, why in unreadable.items()]
    errors = sum(each.severity is Severity.ERROR for each in findings)
    warnings = len(findings) - errors
    if findings:
        counted = f"{_count(errors, 'error')}, {_count(warnings, 'warning')}"
        lines.append(f"{counted}; the rules are in {PAGE}")
    elif not unreadable:
        lines.append("nothing found")
    return "\n".join(lines)


def _shown(file: str) -> str:
    return "(stdin)" if file == STDIN else file


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def as_json(findings: Sequence[Finding], unreadable: Mapping[str, str]) -> str:
    """Write findings for programs."""
    return json.dumps(
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
                }
                for each in findings
            ],
            "unreadable": dict(unreadable),
        },
        indent=2,
    )


def as_sarif(findings: Sequence[Finding], unreadable: Mapping[str, str]) -> str:
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
                "help": {"text": rule.fix},
                "defaultConfiguration": {"level": rule.severity},
            }
            for rule in RULES.values()
        ],
    }
    problems = [
        {"level": "error", "message": {"text": f"{_shown(file)}: {why}"}}
        for file, why in unreadable.items()
    ]
    invocation = {
        "executionSuccessful": not unreadable,
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
        for each in findings
    ]
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "invocations": [invocation], "results": results}],
    }
    return json.dumps(log, indent=2)


def _location(finding: Finding) -> dict[str, Any]:
    file = "stdin" if finding.file == STDIN else finding.file
    physical: dict[str, Any] = {"artifactLocation": {"uri": quote(file)}}
    if finding.line:
        physical["region"] = {"startLine": finding.line}
    logical = {"fullyQualifiedName": f"{finding.object}: {finding.path}"}
    return {"physicalLocation": physical, "logicalLocations": [logical]}


FORMATS: Final = {"text": as_text, "json": as_json, "sarif": as_sarif}

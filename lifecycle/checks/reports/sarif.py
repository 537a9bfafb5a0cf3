"""Findings as SARIF 2.1.0, which code hosts show next to the lines."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from lifecycle.checks.reading.inputs import STDIN
from lifecycle.checks.reports.json_report import dumped
from lifecycle.checks.reports.report import Report, shown
from lifecycle.checks.rule import Finding, Rule
from lifecycle.checks.rules import RULES
from lifecycle.version import VERSION

SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def as_sarif(report: Report) -> str:
    """Return a report as SARIF 2.1.0."""
    names = list(RULES)
    driver = {
        "name": "lifecycle check",
        "version": VERSION,
        "rules": [
            {
                "id": rule.name,
                "shortDescription": {"text": rule.title},
                "fullDescription": {"text": _description(rule)},
                "helpUri": rule.page,
                "help": {"text": _help(rule)},
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
            "message": {"text": f"{each.object}: {each.message}. {each.fix}"},
            "locations": [_location(each)],
        }
        for each in report.findings
    ]
    return dumped(
        {
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [{"tool": {"driver": driver}, "invocations": [invocation], "results": results}],
        }
    )


def _description(rule: Rule) -> str:
    return " ".join(each for each in (rule.why, rule.severity_note, rule.scope) if each)


def _help(rule: Rule) -> str:
    plain = f" Without pod-lifecycle: {rule.plain_fix}" if rule.plain_fix else ""
    return f"{rule.fix}{plain} Sources: {', '.join(rule.addresses)}"


def _location(finding: Finding) -> dict[str, Any]:
    file = "stdin" if finding.file == STDIN else finding.file
    uri = quote(file.encode(errors="surrogateescape"))
    physical: dict[str, Any] = {"artifactLocation": {"uri": uri}}
    if finding.line:
        physical["region"] = {"startLine": finding.line}
    logical = {"fullyQualifiedName": f"{finding.object}: {finding.path}"}
    return {"physicalLocation": physical, "logicalLocations": [logical]}

"""Findings as SARIF 2.1.0, which code hosts show beside the lines."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from lifecycle.checks.reading.inputs import STDIN
from lifecycle.checks.reports.json_report import dumped
from lifecycle.checks.reports.report import Report, shown
from lifecycle.checks.rule import Finding
from lifecycle.checks.rules import RULES
from lifecycle.version import VERSION

SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
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
    return dumped(
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

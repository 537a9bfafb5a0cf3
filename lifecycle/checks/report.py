"""Findings as text, as JSON, as SARIF."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Report:
    """
    What there is to say.

    Attributes:
        findings: Where rules are broken.
        unreadable: By file, what could not be read, and why.
        notes: By file, what else its author should know: nothing that makes the command fail.
    """

    findings: Sequence[Finding]
    unreadable: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether everything was read."""
        return not any(self.unreadable.values())


def as_text(report: Report) -> str:
    """Write findings for people: the place first, so that an editor can jump to it."""
    width = shutil.get_terminal_size().columns
    lines: list[str] = []
    for each in report.findings:
        place = f"{_shown(each.file)}:{each.line}" if each.line else _shown(each.file)
        lines += [
            *_wrapped(
                f"{place}: ",
                f"{each.severity}: {each.rule.name}: {each.object}: {each.message}",
                width,
            ),
            *_wrapped("    at:  ", each.path, width),
            *_wrapped("    why: ", each.rule.why, width),
            *_wrapped("    fix: ", each.rule.fix, width),
        ]
    for what, said in (("unreadable", report.unreadable), ("note", report.notes)):
        for file, sentences in said.items():
            for sentence in sentences:
                lines += _wrapped(f"{_shown(file)}: ", f"{what}: {sentence}", width)
    errors = sum(each.severity is Severity.ERROR for each in report.findings)
    warnings = len(report.findings) - errors
    if report.findings:
        counted = f"{_count(errors, 'error')}, {_count(warnings, 'warning')}"
        lines.append(f"{counted}; the rules are in {PAGE}")
    elif report.complete:
        lines.append("nothing found")
    return "\n".join(lines)


def _wrapped(head: str, text: str, width: int) -> list[str]:
    indent = " " * (len(head) if head.startswith(" ") else 4)
    head, text = _printable(head), _printable(" ".join(text.split()))
    wrapped = textwrap.wrap(
        head + text,
        max(width, 40),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapped or [head.rstrip()]


def _shown(file: str) -> str:
    return "(stdin)" if file == STDIN else file


def _printable(text: str) -> str:
    """Return a text in which nothing moves a terminal's cursor, or cannot be written."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


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
        {"level": level, "message": {"text": f"{_shown(file)}: {sentence}"}}
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


def _dumped(value: Any) -> str:
    # A lone surrogate, of a name or a file's name, is nothing that JSON's readers take.
    text = json.dumps(value, ensure_ascii=False).encode(errors="replace")
    return json.dumps(json.loads(text), indent=2)


FORMATS: Final = {"text": as_text, "json": as_json, "sarif": as_sarif}

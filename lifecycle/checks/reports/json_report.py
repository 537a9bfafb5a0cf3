"""Findings as JSON, for programs."""

from __future__ import annotations

import json
from typing import Any

from lifecycle.checks.reports.report import Report


def as_json(report: Report) -> str:
    """Return a report as JSON."""
    return dumped(
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
                    "fix": each.fix,
                    "page": each.rule.page,
                    "sources": each.rule.addresses,
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


def dumped(value: Any) -> str:
    """Return a value as JSON that every reader accepts."""
    # The name of an object or a file may hold a lone surrogate, which readers of JSON refuse.
    text = json.dumps(value, ensure_ascii=False).encode(errors="replace")
    return json.dumps(json.loads(text), indent=2)

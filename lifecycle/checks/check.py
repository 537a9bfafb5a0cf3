"""Every rule, over everything that was read."""

from __future__ import annotations

from collections.abc import Iterable

from lifecycle.checks.errors import Unreadable
from lifecycle.checks.reading import Document
from lifecycle.checks.rule import Finding, Severity
from lifecycle.checks.rules import RULES
from lifecycle.checks.workload import Surroundings, Workload


def check(documents: Iterable[Document]) -> tuple[list[Finding], dict[str, str]]:
    """
    Look for what will hurt.

    Returns:
        What was found; and the files in which a field is of a type that Kubernetes
        would refuse, with the reason.
    """
    findings: list[Finding] = []
    unreadable: dict[str, str] = {}
    for workload in Surroundings(documents).workloads:
        try:
            findings += _check(workload)
        except Unreadable as error:
            unreadable[workload.document.file] = f"{workload.kind}: {error}"
    return findings, unreadable


def _check(workload: Workload) -> list[Finding]:
    ignored = workload.ignored()
    found = [
        Finding(
            rule,
            each.severity or rule.severity,
            workload.document.file,
            each.node.line,
            each.node.path.removeprefix("$."),
            str(workload),
            each.message,
        )
        for rule in RULES.values()
        if rule.name not in ignored
        for each in rule.find(workload)
    ]
    return sorted(found, key=lambda each: (each.line or 0, each.severity is Severity.WARNING))

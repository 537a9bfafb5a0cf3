"""Every rule, over everything that was read."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches

from lifecycle.checks.errors import Unreadable
from lifecycle.checks.reading import Document
from lifecycle.checks.rule import Finding, Severity
from lifecycle.checks.rules import RULES
from lifecycle.checks.workload import IGNORE, Surroundings, Workload


def check(documents: Iterable[Document]) -> tuple[list[Finding], dict[str, list[str]]]:
    """
    Look for what will hurt.

    Returns:
        What was found; and by file the fields of a type that Kubernetes would refuse.
    """
    findings: list[Finding] = []
    unreadable: dict[str, list[str]] = {}
    for workload in Surroundings(documents).workloads:
        try:
            findings += _check(workload)
        except Unreadable as error:
            why = f"{workload.kind}: {error}"
            unreadable.setdefault(workload.document.file, []).append(why)
    return findings, unreadable


def misspelt(documents: Iterable[Document]) -> dict[str, list[str]]:
    """Return, by file, what annotations leave out that is no rule."""
    said: dict[str, list[str]] = {}
    for workload in Surroundings(documents).workloads:
        with suppress(Unreadable):
            for name in sorted(workload.ignored() - {"", *RULES}):
                near = get_close_matches(name, RULES, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                sentence = f"{workload}: {IGNORE}: no rule is called {name}{hint}"
                said.setdefault(workload.document.file, []).append(sentence)
    return said


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

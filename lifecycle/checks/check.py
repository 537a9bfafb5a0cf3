"""Every rule, over everything that was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    """Return, by file, what annotations leave out that is no rule, and of whom that is nobody."""
    said: dict[str, list[str]] = {}
    for workload in Surroundings(documents).workloads:
        with suppress(Unreadable):
            for sentence in _misspelt(workload):
                said.setdefault(workload.document.file, []).append(f"{workload}: {sentence}")
    return said


def _misspelt(workload: Workload) -> Iterator[str]:
    names = sorted(each.name for each in workload.containers)
    for container in ("", *workload.containers_with_leave_outs()):
        where = f"{IGNORE}.{container}" if container else IGNORE
        if container and container not in names:
            yield f"{where}: no container is called {container}{_hint(container, names)}"
        for name in sorted(workload.ignored(container) - {"", *RULES}):
            if not container or name not in workload.ignored():
                yield f"{where}: no rule is called {name}{_hint(name, RULES)}"


def _hint(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


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
        if rule.name not in workload.ignored(each.container or workload.container_at(each.node))
    ]
    return sorted(found, key=lambda each: (each.line or 0, each.severity is Severity.WARNING))

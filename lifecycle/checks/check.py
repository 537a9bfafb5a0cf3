"""Every rule, over everything that was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from difflib import get_close_matches

from lifecycle.checks.errors import Unreadable
from lifecycle.checks.reading.documents import Document
from lifecycle.checks.reading.kinds import unknown_pod
from lifecycle.checks.rule import Finding, Rule, Severity
from lifecycle.checks.rules import RULES
from lifecycle.checks.workloads.workload import IGNORE, Surroundings, Workload

_OF_ANY_KIND = {"duplicate-key": RULES["duplicate-key"]}


def check(
    documents: Iterable[Document], around: Surroundings | None = None
) -> tuple[list[Finding], dict[str, list[str]]]:
    """
    Look for what will hurt.

    Returns:
        What was found; and by file the fields of a type that Kubernetes would refuse.
    """
    around = around or Surroundings(documents)
    findings: list[Finding] = []
    unreadable: dict[str, list[str]] = {}
    for workload in around.workloads:
        try:
            findings += _check(workload)
        except Unreadable as error:
            why = f"{workload.kind}: {error}"
            unreadable.setdefault(workload.document.file, []).append(why)
    for each in around.others:
        with suppress(Unreadable):
            findings += _found(Workload(each, around), _OF_ANY_KIND)
    return list(dict.fromkeys(findings)), unreadable  # several templates of one object see the same


def misspelt(
    documents: Iterable[Document], around: Surroundings | None = None
) -> dict[str, list[str]]:
    """Return, by file, what annotations leave out that is no rule, and of whom that is nobody."""
    said: dict[str, list[str]] = {}
    for workload in (around or Surroundings(documents)).workloads:
        with suppress(Unreadable):
            for sentence in _misspelt(workload):
                said.setdefault(workload.document.file, []).append(f"{workload}: {sentence}")
    return said


def _misspelt(workload: Workload) -> Iterator[str]:
    names = sorted(workload.container_names)
    for container in ("", *workload.containers_with_leave_outs()):
        where = f"{IGNORE}.{container}" if container else IGNORE
        if container and container not in names and not workload.is_partial:
            yield f"{where}: no container is called {container}{_hint(container, names)}"
        for name in sorted(workload.ignored(container) - {"", *RULES}):
            if not container or name not in workload.ignored():
                yield f"{where}: no rule is called {name}{_hint(name, RULES)}"


def _hint(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


def not_checked(around: Surroundings) -> dict[str, list[str]]:
    """Return, by file, the objects that hold pods in a way that is not known here."""
    said: dict[str, list[str]] = {}
    for each in around.others:
        pod = unknown_pod(each.node, each.group, each.kind)
        if pod is not None:
            where = f"line {pod.line}: " if pod.line else ""
            with suppress(Unreadable):
                sentence = (
                    f"{where}{each.kind}/{each.name} holds containers that are not checked: "
                    f"lifecycle check does not know this kind"
                )
                said.setdefault(each.file, []).append(sentence)
    return said


def _check(workload: Workload) -> list[Finding]:
    ignored = workload.ignored()
    rules = {name: rule for name, rule in RULES.items() if name not in ignored}
    found = _found(workload, rules)
    if workload.is_partial:
        found = _certain(found, workload, rules)
    return sorted(found, key=lambda each: (each.line or 0, each.severity is Severity.WARNING))


def _certain(found: list[Finding], workload: Workload, rules: dict[str, Rule]) -> list[Finding]:
    """Return what is found on every complete base, too: the patch itself says it."""
    bases = workload.completed() if found else []
    also = [{(each.rule.name, each.path) for each in _found(base, rules)} for base in bases]
    return [
        each for each in found if also and all((each.rule.name, each.path) in one for one in also)
    ]


def _found(workload: Workload, rules: dict[str, Rule]) -> list[Finding]:
    findings = []
    for rule in rules.values():
        for each in rule.find(workload):
            container = each.container or workload.container_at(each.node)
            if rule.name in workload.ignored(container):
                continue
            plain = rule.plain_fix and not workload.may_be_ours(container)
            findings.append(
                Finding(
                    rule,
                    each.severity or rule.severity,
                    workload.document.file,
                    each.node.line,
                    each.node.path.removeprefix("$."),
                    str(workload),
                    each.message,
                    rule.plain_fix if plain else rule.fix,
                )
            )
    return findings

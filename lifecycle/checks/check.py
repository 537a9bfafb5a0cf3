"""The check: every rule, on all objects that were read."""

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
    Apply every rule to every object.

    Args:
        documents: The objects.
        around: The objects that were read in the same run. If None, they are `documents`.

    Returns:
        The findings, and for each file the fields with a type that Kubernetes would refuse.
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
    return list(
        dict.fromkeys(findings)
    ), unreadable  # several pod templates of one object may have the same finding


def misspelt(
    documents: Iterable[Document], around: Surroundings | None = None
) -> dict[str, list[str]]:
    """
    Return the unknown rules and containers in annotations that turn rules off.

    Args:
        documents: The objects.
        around: The objects that were read in the same run. If None, they are `documents`.

    Returns:
        One sentence for each unknown name, by file.
    """
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
            yield f"{where}: there is no container {container}.{_hint(container, names)}"
        for name in sorted(workload.ignored(container) - {"", *RULES}):
            if not container or name not in workload.ignored():
                yield f"{where}: there is no rule {name}.{_hint(name, RULES)}"


def _hint(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), 1)
    return f" Did you mean {near[0]}?" if near else ""


def not_checked(around: Surroundings) -> dict[str, list[str]]:
    """Return one sentence for each object of an unknown kind that holds containers, by file."""
    said: dict[str, list[str]] = {}
    for each in around.others:
        pod = unknown_pod(each.node, each.group, each.kind)
        if pod is not None:
            where = f"line {pod.line}: " if pod.line else ""
            with suppress(Unreadable):
                sentence = (
                    f"{where}the containers of {each.kind}/{each.name} are not checked, because "
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
    """Return the findings that hold on every base. Only these come from the patch itself."""
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
                    each.fix or (rule.plain_fix if plain else rule.fix),
                )
            )
    return findings

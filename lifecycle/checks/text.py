"""Findings as text, for people: each rule once, and under it the places where it is broken."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from typing import Final

from lifecycle.checks.report import Report, shown
from lifecycle.checks.rule import Finding, Rule, Severity
from lifecycle.plain import one_line

PAGE: Final = "docs/checks.md"
_NARROWEST: Final = 40
_WIDEST: Final = 100
"""Columns for prose: longer lines are hard to read."""


def as_text(report: Report) -> str:
    """Write findings for people: each place first in its line, so that an editor can jump to it."""
    width = max(shutil.get_terminal_size().columns, _NARROWEST)
    lines: list[str] = []
    for places in _by_rule(report):
        lines += [*_about(places[0].rule, places, width), ""]
    told = [
        line
        for what, said in (("unreadable", report.unreadable), ("note", report.notes))
        for file, sentences in said.items()
        for sentence in sentences
        for line in _wrapped(f"{shown(file)}: {what}: {sentence}", width)
    ]
    lines += [*told, ""] if told else []
    for sentence in _counts(report):
        lines += _wrapped(sentence, width)
    return "\n".join(lines).rstrip()


def _by_rule(report: Report) -> list[list[Finding]]:
    """Return the findings of each rule; first the rules with an error."""
    found: dict[str, list[Finding]] = {}
    for each in report.findings:
        found.setdefault(each.rule.name, []).append(each)
    return sorted(found.values(), key=lambda places: not any(map(_is_error, places)))


def _about(rule: Rule, places: list[Finding], width: int) -> Iterator[str]:
    yield from _wrapped(f"{rule.name}: {rule.title}", width)
    for each in places:
        line = f":{each.line}" if each.line else ""
        where = "" if each.line else f"{each.path}: "
        yield from _wrapped(
            f"{shown(each.file)}{line}: {each.severity}: {each.object}: {where}{each.message}",
            width,
        )
    prose = min(width, _WIDEST)
    yield from _wrapped(f"    why: {rule.why}", prose, " " * 9)
    yield from _wrapped(f"    fix: {rule.fix}", prose, " " * 9)


def _counts(report: Report) -> Iterator[str]:
    errors = sum(map(_is_error, report.findings))
    warnings = len(report.findings) - errors
    checked = (
        [count(report.workloads, "workload")] if report.workloads or not report.partial else []
    )
    checked += [count(report.partial, "partial document")] if report.partial else []
    where = f"in {' and '.join(checked)}"
    if report.findings:
        found = f"{count(errors, 'error')}, {count(warnings, 'warning')} {where}"
        yield f"{found}. The rules are in {PAGE}"
    elif report.complete:
        yield f"nothing found {where}"
    if report.idle:
        kinds = sorted(report.passed_over.items(), key=lambda each: (-each[1], each[0].name))
        passed = f" ({', '.join(kind.counted(number) for kind, number in kinds)})" if kinds else ""
        holds = "file holds" if report.idle == 1 else "files hold"
        yield f"{report.idle:,} {holds} no workload{passed}"


def _is_error(finding: Finding) -> bool:
    return finding.severity is Severity.ERROR


def count(number: int, one: str, several: str = "") -> str:
    """Say how many there are."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def _wrapped(text: str, width: int, indent: str = "    ") -> list[str]:
    start = len(text) - len(text.lstrip(" "))
    return textwrap.wrap(
        one_line(" ".join(text.split())),
        width,
        initial_indent=" " * start,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )

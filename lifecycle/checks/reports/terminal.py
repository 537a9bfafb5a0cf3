"""Findings as text for people: each rule once, with its fixes and its places."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TextIO

from lifecycle.checks.errors import Unreadable
from lifecycle.checks.reading.gathering import NOTHING
from lifecycle.checks.reports.report import Report, shown
from lifecycle.checks.rule import Finding, Severity
from lifecycle.checks.workloads.workload import IGNORE
from lifecycle.links import help_page
from lifecycle.plain import one_line

_NARROWEST: Final = 40
_WIDEST: Final = 100
"""Columns for prose. Longer lines are hard to read."""
_SGR: Final = {
    "bold": "1",
    "dim": "2",
    "error": "1;31",
    "warning": "33",
    "unreadable": "1;31",
    "nothing to check": "1;31",
}


@dataclass(frozen=True)
class Screen:
    """
    The screen, pipe or file that the text goes to.

    Attributes:
        width: Columns for prose.
        folds: Whether the lines of places are folded too. An editor needs each place in one line.
        colours: Whether colours are used.
    """

    width: int = 80
    folds: bool = False
    colours: bool = False

    @classmethod
    def of(cls, stream: TextIO | None) -> Screen:
        """Return the screen behind a stream. A terminal has colours, unless NO_COLOR is set."""
        width = max(shutil.get_terminal_size().columns, _NARROWEST)
        if stream is None or not stream.isatty():
            return cls(width)
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return cls(width, folds=True, colours=not plain)

    def paint(self, style: str, text: str) -> str:
        """Return a text in the colours of a style."""
        sgr = _SGR.get(style, "")
        return f"\x1b[{sgr}m{text}\x1b[0m" if self.colours and sgr and text else text


def as_text(report: Report, screen: Screen | None = None) -> str:
    """Return findings as text. Each place comes first in its line, so that editors can jump there."""
    screen = screen or Screen()
    parts = [[*_about(places, screen)] for places in _by_rule(report)]
    parts.append(
        [
            line
            for what, said in (("unreadable", report.unreadable), ("note", report.notes))
            for file, sentences in said.items()
            for sentence in sentences
            for line in _said(shown(file), what, sentence, screen)
        ]
    )
    if any(report.unreadable.values()):
        parts[-1].append(f"See {help_page(Unreadable.help_entry)}")
    parts.append([line for each in _counts(report) for line in _folded(each, screen.width)])
    return "\n\n".join("\n".join(part) for part in parts if part)


def _by_rule(report: Report) -> list[list[Finding]]:
    """Return the findings of each rule. Rules with an error come first."""
    found: dict[str, list[Finding]] = {}
    for each in report.findings:
        found.setdefault(each.rule.name, []).append(each)
    return sorted(found.values(), key=lambda places: not any(map(_is_error, places)))


def _about(places: list[Finding], screen: Screen) -> Iterator[str]:
    rule = places[0].rule
    for line in _folded(f"{rule.name}: {rule.title}", screen.width):
        yield screen.paint("bold", line)
    yield from _label("why", rule.why, screen)
    sources = sorted(rule.addresses, key=lambda each: each not in rule.sources)
    for label, link in (("see", rule.page), ("source", sources[0])):
        yield screen.paint("dim", f"  {label}: {link}")
    for fix in dict.fromkeys(each.fix for each in places):
        yield from _label("fix", fix, screen)
        for each in places:
            if each.fix == fix:
                place = f"{shown(each.file)}:{each.line}" if each.line else shown(each.file)
                where = "" if each.line else f"{each.path}: "
                text = f"{each.object}: {where}{each.message}"
                yield from _place(place, each.severity, text, screen)


def _label(label: str, text: str, screen: Screen) -> Iterator[str]:
    for line in _folded(f"  {label}: {text}", min(screen.width, _WIDEST), " " * 7):
        yield screen.paint("dim", line)


def _said(file: str, what: str, sentence: str, screen: Screen) -> list[str]:
    """Return what is said about a file. A file can be read though there is nothing to check."""
    if sentence.startswith(NOTHING):
        what, sentence = NOTHING.rstrip(": "), sentence.removeprefix(NOTHING)
    return _place(file, what, sentence, screen)


def _place(place: str, what: str, text: str, screen: Screen) -> list[str]:
    head = f"{place}: {what}: "
    if not screen.folds:
        return [one_line(" ".join(f"{head}{text}".split()))]
    lines = _folded(f"{head}{text}", screen.width)
    marked = screen.paint(what, f"{what}:")
    at = next((n for n, line in enumerate(lines) if f"{what}:" in line), 0)
    lines[at] = lines[at].replace(f"{what}:", marked, 1)
    return lines


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
        yield f"{found}. To turn off a rule, name it in the annotation {IGNORE}"
    elif report.complete:
        yield f"nothing found {where}"
    if report.idle:
        kinds = sorted(report.passed_over.items(), key=lambda each: (-each[1], each[0].name))
        passed = f" ({', '.join(kind.counted(number) for kind, number in kinds)})" if kinds else ""
        holds = "file holds" if report.idle == 1 else "files hold"
        yield f"{report.idle:,} {holds} no workload{passed}"


def _is_error(finding: Finding) -> bool:
    return finding.severity is Severity.ERROR


def count(number: int, one: str) -> str:
    """Return a number and its noun, in the plural if needed."""
    return f"{number:,} {one if number == 1 else f'{one}s'}"


def _folded(text: str, width: int, indent: str = "    ") -> list[str]:
    start = len(text) - len(text.lstrip(" "))
    return textwrap.wrap(
        one_line(" ".join(text.split())),
        width,
        initial_indent=" " * start,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )

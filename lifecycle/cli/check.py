"""`lifecycle check`: reads, and says what it found."""

from __future__ import annotations

import argparse
import io
import sys

from lifecycle.checks.check import check as find
from lifecycle.checks.check import misspelt
from lifecycle.checks.reading import Document, read
from lifecycle.checks.report import FORMATS, Report
from lifecycle.checks.rule import Severity
from lifecycle.checks.workload import KINDS, Surroundings
from lifecycle.plain import lines

UNREADABLE = 2


def check(options: argparse.Namespace) -> int:
    """Check files: 0 if nothing is bad, 1 if there are errors, 2 if something was not readable."""
    documents: list[Document] = []
    unreadable: dict[str, list[str]] = {}
    notes: dict[str, list[str]] = {}
    for file in dict.fromkeys(options.files):
        reading = read(file)
        documents += reading.documents
        unreadable.setdefault(file, []).extend(reading.problems)
        notes.setdefault(file, []).extend(reading.passed_over)
    findings, wrong = find(documents)
    for file, reasons in wrong.items():
        unreadable[file] += reasons
    for file, sentences in misspelt(documents).items():
        notes[file] += sentences
    if not any(unreadable.values()) and not Surroundings(documents).workloads:
        kinds = ", ".join(sorted({each.kind for each in documents})) or "nothing else"
        shown = ", ".join(KINDS)
        unreadable[next(iter(unreadable))] = [f"nothing to check: it holds {kinds}, and no {shown}"]
    report = Report(findings, unreadable, notes)
    if sys.stdout is not None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # whatever a name holds
        print(lines(FORMATS[options.format](report)))
    if any(unreadable.values()):
        return UNREADABLE
    return int(any(each.severity is Severity.ERROR for each in findings))

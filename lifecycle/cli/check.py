"""`lifecycle check`: reads, and says what it found."""

from __future__ import annotations

import argparse

from lifecycle.checks.check import check as find
from lifecycle.checks.errors import Unreadable
from lifecycle.checks.reading import Document, read
from lifecycle.checks.report import FORMATS
from lifecycle.checks.rule import Severity
from lifecycle.checks.workload import KINDS, Surroundings

UNREADABLE = 2


def check(options: argparse.Namespace) -> int:
    """Check files: 0 if nothing is bad, 1 if there are errors, 2 if one could not be read."""
    documents: list[Document] = []
    unreadable: dict[str, str] = {}
    files = list(dict.fromkeys(options.files))
    for file in files:
        try:
            documents += read(file)
        except Unreadable as error:
            unreadable[file] = str(error)
    findings, wrong = find(documents)
    unreadable |= wrong
    if not unreadable and not Surroundings(documents).workloads:
        kinds = ", ".join(sorted({each.kind for each in documents}))
        shown = ", ".join(KINDS)
        unreadable[files[0]] = f"nothing to check: it holds {kinds}, and no {shown}"
    print(FORMATS[options.format](findings, unreadable))
    if unreadable:
        return UNREADABLE
    return int(any(each.severity is Severity.ERROR for each in findings))

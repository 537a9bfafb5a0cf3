"""`lifecycle check`: read manifests and report the findings."""

from __future__ import annotations

import argparse
import io
import os.path
import sys

from lifecycle.checks.check import check, misspelt, not_checked
from lifecycle.checks.reading.gathering import NOTHING, Gathered, gather
from lifecycle.checks.reports.json_report import as_json
from lifecycle.checks.reports.report import Report
from lifecycle.checks.reports.sarif import as_sarif
from lifecycle.checks.reports.terminal import Screen, as_text
from lifecycle.checks.rule import Severity
from lifecycle.checks.workloads.workload import Surroundings
from lifecycle.plain import lines

UNREADABLE = 2
FORMATS = {"json": as_json, "sarif": as_sarif}


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lifecycle check`."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="PATH",
        help="YAML or JSON file, or a folder with *.yaml, *.yml and *.json files, or - for standard "
        "input, for example from kubectl get -o json",
    )
    parser.add_argument(
        "--format",
        choices=("text", "json", "sarif"),
        default="text",
        help="output format: text, json or sarif (default: text)",
    )
    parser.add_argument(
        "--allow-nothing",
        action="store_true",
        help="exit with 0 if there is nothing to check, for example in a pre-commit hook",
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERN",
        help="ignore files and folders whose path matches a shell pattern, for example '*/testdata' "
        "(may be repeated)",
    )


def run(options: argparse.Namespace) -> int:
    """
    Check files and write the report to stdout.

    Args:
        options: The parsed options.

    Returns:
        0 without errors, 1 with errors, 2 if a file was not readable or there was nothing to check.
    """
    found = gather(options.files, options.exclude)
    around = Surroundings(found.documents, found.replicas)
    findings, wrong = check(found.documents, around)
    for file, reasons in wrong.items():
        found.unreadable.setdefault(file, []).extend(reasons)
    for said in (misspelt(found.documents, around), not_checked(around)):
        for file, sentences in said.items():
            found.note(file, *sentences)
    idle = found.idle()
    nothing = _nothing(found, options.files)
    if nothing and options.allow_nothing:
        found.note(options.files[0], nothing)
    elif nothing:
        found.unreadable[options.files[0]] = [nothing]
    report = Report(
        findings,
        found.unreadable,
        found.notes,
        workloads=_objects(around, is_partial=False),
        partial=_objects(around, is_partial=True),
        idle=idle,
        passed_over=found.passed_over,
    )
    if sys.stdout is not None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # a name may hold any character
        if options.format == "text":
            print(as_text(report, Screen.of(sys.stdout)))
        else:
            print(lines(FORMATS[options.format](report)))
    if any(found.unreadable.values()):
        return UNREADABLE
    return int(any(each.severity is Severity.ERROR for each in findings))


def _nothing(found: Gathered, names: list[str]) -> str:
    """Return why there was nothing to check. For a single file, its note is the reason."""
    nothing = found.nothing()
    if nothing and len(names) == 1 and not os.path.isdir(names[0]):
        for sentence in found.notes.pop(names[0], []):
            nothing = f"{NOTHING}{sentence}"
    return nothing


def _objects(around: Surroundings, *, is_partial: bool) -> int:
    """Return the number of objects. One object may have several pod templates."""
    return len({id(each.document) for each in around.workloads if each.is_partial is is_partial})

"""The command `lifecycle tune`: how long `settle` must be, from the drain reports in logs."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Final

from lifecycle.cli.console import encodable, fail, warn
from lifecycle.plain import one_line
from lifecycle.tune.findings import Finding, as_json, findings
from lifecycle.tune.rule import Verdict
from lifecycle.tune.survey import Survey
from lifecycle.tune.text import render

TOO_SHORT: Final = 1
UNREADABLE: Final = 2
NOT_KNOWN: Final = 3
STDIN: Final = "-"
HINTS: Final = {
    "": "The log is empty.",
    "gzip": "The log is compressed. Run: zcat FILE | lifecycle tune -",
    "utf-16": "The log is UTF-16, as PowerShell writes it. Save the log as UTF-8.",
    "binary": "The log is not text.",
    "text": "Every drain logs one at the level info, when the pod ends. Read the logs of pods "
    "that have ended, and raise the level if it is higher.",
}


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="log with drain reports among other lines, or - for standard input, for example from "
        "kubectl logs (default: -)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """
    Print for each service how long `settle` must be.

    Returns:
        0 if `settle` is long enough for every service, 1 if it is too short for one. 2 if a log was
        not readable or had no report. 3 if nothing is known about a service.
    """
    names = options.files or [STDIN]
    if not options.files and sys.stdin is not None and sys.stdin.isatty():
        return fail(
            "tune: name a log, or pass one: kubectl logs POD --previous | lifecycle tune -",
            UNREADABLE,
            see="errors.md#log-not-readable",
        )
    survey = Survey()
    readable = [_read(survey, name) for name in dict.fromkeys(names)]
    found = findings(survey)
    _warn(survey)
    if not found:
        return _nothing(survey) if any(readable) else UNREADABLE
    if sys.stdout is not None:
        text = json.dumps(as_json(found, survey), indent=2) if options.json else render(found)
        print(encodable(text, sys.stdout))
    return _code(found) if all(readable) else UNREADABLE


def _read(survey: Survey, name: str) -> bool:
    try:
        # A closed standard input (`<&-`) gives the same error here as in other commands.
        with open(0 if name == STDIN else name, "rb", closefd=name != STDIN) as stream:
            survey.read(one_line(name), stream)
    except OSError as error:
        warn(f"tune: {one_line(name)}: {error.strerror or error}", see="errors.md#log-not-readable")
        return False
    return True


def _warn(survey: Survey) -> None:
    if survey.first_unread is not None:
        first = survey.first_unread
        warn(
            f"tune: {survey.unread:,} lines have a drain report that cannot be read. The first is "
            f"{first.where}: {one_line(first.why)}",
            see="errors.md#unreadable-drain-report",
        )
    if survey.old:
        warn(
            f"tune: {survey.old:,} drain reports are of apps without services, or of an older "
            "version of pod-lifecycle, and are left out",
            see="errors.md#unreadable-drain-report",
        )
    if survey.others:
        warn(
            f"tune: there are too many services, so {survey.others:,} drain reports are left out. "
            "Pass the logs of fewer services",
            see="errors.md#unreadable-drain-report",
        )


def _nothing(survey: Survey) -> int:
    if survey.unread or survey.old:  # which was printed already
        return UNREADABLE
    kinds = set(survey.kinds.values())
    kind = next((each for each in HINTS if each and each in kinds), "")
    return fail(
        f"tune: no drain report in {survey.lines:,} lines. {HINTS[kind]}",
        UNREADABLE,
        see="errors.md#no-drain-report",
    )


def _code(found: list[Finding]) -> int:
    verdicts = {each.verdict for each in found}
    if Verdict.TOO_SHORT in verdicts:
        return TOO_SHORT
    return NOT_KNOWN if Verdict.UNKNOWN in verdicts else 0

"""The answer as text for people, and as JSON. Pure, but for the width of the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rich.console import Console
from rich.text import Text

import lifecycle
from lifecycle_fleet.why.finding import Finding
from lifecycle_fleet.why.pod import Verdict

INDENT: Final = 3
LABEL: Final = 6
"""Columns of the labels before evidence and fix."""
PODS_SHOWN: Final = 5


def record(verdict: Verdict) -> dict[str, Any]:
    """
    Return the answer as JSON.

    Args:
        verdict: The answer.
    """
    return {
        "target": verdict.target,
        "namespace": verdict.namespace,
        "state": verdict.state,
        "headline": verdict.headline,
        "wrong": verdict.wrong,
        "findings": [
            {
                "rule": each.rule,
                "rank": each.rank,
                "note": each.note,
                "sentence": each.sentence,
                "evidence": list(each.evidence),
                "fix": each.fix,
                "see": page(each),
                "pods": list(each.pods),
            }
            for each in verdict.findings
        ],
        "caveats": [{"sentence": each.sentence, "fix": each.fix} for each in verdict.caveats],
    }


def page(finding: Finding) -> str:
    """Return the address of the section about a finding."""
    return str(lifecycle.LifecycleError(see=finding.page).see)


def show(verdict: Verdict, console: Console) -> None:
    """Print the answer for people."""
    colour = "bold red" if verdict.wrong else "bold green"
    _paragraph(Text(verdict.headline, style=colour), 0, console)
    number = 0
    for each in verdict.findings:
        console.print()
        number += not each.note
        _finding(each, "note" if each.note else f"{number}.", console)
    if verdict.caveats:
        console.print()
    for caveat in verdict.caveats:
        _paragraph(Text("Caution: ", style="yellow").append(caveat.sentence, "default"), 0, console)
        _labelled("fix", caveat.fix, console)


def _finding(found: Finding, mark: str, console: Console) -> None:
    head = Text(f"{mark} ", style="bold").append(found.sentence, "bold")
    _paragraph(head, INDENT, console)
    if found.pods:
        more = len(found.pods) - PODS_SHOWN
        names = ", ".join(found.pods[:PODS_SHOWN]) + (f" and {more} more" if more > 0 else "")
        _labelled("pods", names, console)
    for at, line in enumerate(found.evidence):
        _labelled("" if at else "seen", line, console, "dim")
    _labelled("fix", found.fix, console, "green")
    console.print(Text(" " * INDENT + f"{'see':{LABEL}}" + page(found), "dim"), soft_wrap=True)


def _labelled(label: str, text: str, console: Console, style: str = "") -> None:
    head = f"{' ' * INDENT}{label:{LABEL}}"
    if label == "fix" and text.startswith(("kubectl ", "lifecycle ")):
        console.print(Text(head, "dim").append(text, style), soft_wrap=True)  # to be copied
        return
    lines = list(_wrapped(Text(text, style), console.width - INDENT - LABEL, console))
    for at, line in enumerate(lines or [Text("")]):
        before = Text(head if not at else " " * (INDENT + LABEL), "dim")
        console.print(before.append_text(line))


def _paragraph(text: Text, indent: int, console: Console) -> None:
    for at, line in enumerate(_wrapped(text, console.width - indent, console)):
        console.print(Text(" " * indent if at else "").append_text(line))


def _wrapped(text: Text, width: int, console: Console) -> Iterator[Text]:
    for line in text.wrap(console, max(20, width), overflow="fold"):
        line.rstrip()
        yield line

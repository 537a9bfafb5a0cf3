"""The result as text, with or without colours."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator
from typing import Final, TextIO

import tabulate

from lifecycle_fleet.rollout.lane import Lane
from lifecycle_fleet.rollout.moves import codes
from lifecycle_fleet.rollout.outcome import outcome
from lifecycle_fleet.rollout.result import Rollout, Verdict
from lifecycle_fleet.view.told import printable

SGR: Final = {
    "good": "\x1b[1;32m",
    "bad": "\x1b[1;31m",
    "dim": "\x1b[2m",
}
RESET: Final = "\x1b[0m"
WIDTH: Final = 96
MOST: Final = 40
"""The pods in the table. Of more, those with faults and the last ones are shown."""
MOST_FINDINGS: Final = 20
HEADER: Final = ("POD", "REVISION", "START", "NOT READY", "DRAIN", "EXIT", "RESULT")


class Painter:
    """
    Colours text if it is written to a terminal, and `NO_COLOR` is not set.

    Args:
        out: The stream.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        self._on = (out or sys.stdout).isatty() and not os.environ.get("NO_COLOR")

    def __call__(self, style: str, text: str) -> str:
        return f"{SGR[style]}{text}{RESET}" if self._on else text


def render(rollout: Rollout, paint: Painter, where: str = "") -> str:
    """
    Return the text that is printed at the end.

    Args:
        rollout: The rollout.
        paint: Colours the text.
        where: The options that name the cluster and the namespace.
    """
    found = [*findings(rollout)]
    more = len(found) - MOST_FINDINGS
    parts = [
        paint("good" if rollout.passed else "bad", printable(rollout.headline())),
        table(rollout),
        "\n".join(_wrapped(each) for each in found[:MOST_FINDINGS]),
        f"! and {more} more, which are in the JSON and in the report" if more > 0 else "",
        paint("dim", _footnote(rollout, where)),
    ]
    return "\n\n".join(part for part in parts if part)


def findings(rollout: Rollout) -> Iterator[str]:
    """Yield the faults and the notes, a sentence each."""
    yield from rollout.reasons
    yield from (each.text for each in rollout.faults() if each.text not in rollout.reasons)
    for lane in rollout.lanes:
        if lane.restarts:
            yield f"{lane.name}: its containers were restarted (restarts: {lane.restarts})"
    yield from (each.text for each in rollout.notes if not each.ours)


def hint(rollout: Rollout, where: str = "") -> str:
    """Return the command that explains a failure, or empty."""
    if rollout.verdict in (Verdict.DONE, Verdict.NONE, Verdict.ROLLING):
        return ""
    target = printable(f"{rollout.target} {where}".strip())
    return f"To find out why, run: lifecycle fleet why {target}"


def table(rollout: Rollout) -> str:
    """Return a line for each pod."""
    lanes = [*rollout.lanes]
    if len(lanes) > MOST:
        bad = [each for each in lanes if outcome(each).bad or each.problem][: MOST - 1]
        rest = [each for each in lanes if each not in bad]
        chosen = {each.uid for each in (*bad, *rest[len(bad) - MOST :])}
        lanes = [each for each in lanes if each.uid in chosen]
    rows = [_row(each, rollout) for each in lanes]
    used = [at for at in range(len(HEADER)) if at < 2 or any(row[at] != "-" for row in rows)]
    rows = [tuple(row[at] for at in used) for row in rows]
    if hidden := len(rollout.lanes) - len(lanes):
        rows.append((f"and {hidden} more", *[""] * (len(used) - 1)))
    header = [HEADER[at] for at in used]
    return tabulate.tabulate(rows, header, tablefmt="plain", disable_numparse=True) if rows else ""


def _row(lane: Lane, rollout: Rollout) -> tuple[str, ...]:
    result = str(outcome(lane)) or lane.problem.partition(" ")[0] or str(lane.phase)
    return (
        printable(lane.name),
        str(rollout.revisions.get(lane.hash) or "-"),
        _seconds(None if lane.initial else lane.ready_after),
        _seconds(lane.gap or None),
        _seconds(lane.drained_in),
        codes(lane) or "-",
        printable(result),
    )


def _seconds(given: float | None) -> str:
    return "-" if given is None else f"{given:.1f} s"


def _footnote(rollout: Rollout, where: str) -> str:
    numbers = rollout.progress
    lines = []
    if rollout.gate and rollout.verdict is not Verdict.UNDONE:
        lines.append(printable(rollout.gate))
    if rollout.verdict is not Verdict.NONE:
        lines.append(
            f"At least {numbers.fewest_ready} of {numbers.desired} pods were ready at any moment."
        )
        hidden = [each.hidden_after for each in rollout.lanes if each.hidden_after is not None]
        if hidden:
            lines.append(
                "The EndpointSlices stopped showing a pod at most "
                f"{max(hidden):.1f} s after its drain started."
            )
    if said := hint(rollout, where):
        lines.append(said)
    return "\n".join(lines)


def _wrapped(text: str) -> str:
    return textwrap.fill(
        printable(text),
        WIDTH,
        initial_indent="! ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )

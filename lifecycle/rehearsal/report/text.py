"""The result as text, with or without colours."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterable
from typing import Final, TextIO

import tabulate

from lifecycle.rehearsal.verdict.judge import Verdict
from lifecycle.rehearsal.verdict.result import LossGroup, Result

STYLES: Final = {Verdict.PASSED: "good", Verdict.INCONCLUSIVE: "doubt"}
SGR: Final = {
    "good": "\x1b[1;32m",
    "bad": "\x1b[1;31m",
    "doubt": "\x1b[1;33m",
    "dim": "\x1b[2m",
    "bold": "\x1b[1m",
}
RESET: Final = "\x1b[0m"
WIDTH: Final = 96


class Painter:
    """Colours text if it is written to a terminal."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._on = out.isatty()

    def __call__(self, style: str, text: str) -> str:
        return f"{SGR[style]}{text}{RESET}" if self._on else text


def render(result: Result, paint: Painter) -> str:
    """Return the text that is printed at the end."""
    parts = [_head(result, paint), _rollouts(result)]
    parts += [describe(number, group, paint) for number, group in enumerate(result.groups(), 1)]
    parts += ["\n".join(_wrapped("! ", finding) for finding in result.findings())]
    parts += [paint("dim", line) for line in (_footnote(result),)]
    return "\n\n".join(part for part in parts if part)


def _head(result: Result, paint: Painter) -> str:
    tally = result.tally
    new, kept = tally.lost(kept=False), tally.lost(kept=True)
    answered = {True: 0, False: 0}
    for (_, _, on_kept), count in tally.answers.items():
        answered[on_kept] += count
    rows = [
        ("on new connections", f"{answered[False] + new:,}", f"{new:,}"),
        ("on keep-alive connections", f"{answered[True] + kept:,}", f"{kept:,}"),
        ("total", f"{tally.requests:,}", f"{result.lost:,}"),
    ]
    table = tabulate.tabulate(
        rows,
        ("", "REQUESTS", "LOST"),
        tablefmt="plain",
        disable_numparse=True,
        colalign=("left", "right", "right"),
    )
    return paint(STYLES.get(result.verdict, "bad"), result.headline()) + "\n\n" + table


def _rollouts(result: Result) -> str:
    rows: list[tuple[object, ...]] = []
    for rollout in result.rollouts:
        seconds = ", ".join(f"{each.seconds:.1f}" for each in rollout.left)
        codes = ", ".join(str(code) for code in rollout.exit_codes)
        lost = result.lost_in(rollout)
        rows.append((rollout.number, f"{rollout.seconds:.1f} s", seconds, codes, lost))
    header = ("ROLLOUT", "TOOK", "REPLICAS EXITED AFTER", "EXIT CODES", "LOST")
    if len(rows) > 12:
        rows = [*rows[:6], ("…", "", "", "", ""), *rows[-5:]]
    if result.lost_outside:
        rows.append(("outside of a rollout", "", "", "", result.lost_outside))
    return tabulate.tabulate(rows, header, tablefmt="plain", disable_numparse=True)


def _plain(_: str, text: str) -> str:
    return text


def describe(number: int, group: LossGroup, paint: Callable[[str, str], str] = _plain) -> str:
    """Describe one kind of loss: how many and when, why, and what to change."""
    count = len(group.losses)
    head = f"{number}. {count:,}x {group.cause} on {group.connections}: {group.when}"
    if span := group.span():
        head += f" ({span})"
    if group.protocol != "http1":
        head += f" ({group.protocol})"
    lines = [paint("bold", head), _wrapped("   why:    ", group.advice.why)]
    lines.append(_wrapped("   change: ", group.advice.change))
    return "\n".join(lines)


def _wrapped(head: str, text: str) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,  # an address, or an option, stays whole
        break_on_hyphens=False,
    )


def _footnote(result: Result) -> str:
    late, tally = result.tally.lateness, result.tally
    lines: Iterable[str] = (
        f"ready: {result.template.readiness} · preStop: {result.template.hook.name} · "
        f"longest answer {tally.longest:.2f} s",
        f"keep-alive connections found closed before writing: {tally.closed_idle:,} (not lost) · "
        f"requests sent again because the server had declined them: {tally.repeated:,}",
        f"delay of the load generator ({result.processes} process{'es' * (result.processes > 1)}): "
        f"p50 {late.quantile(0.5) * 1000:.1f}, p99 {late.quantile(0.99) * 1000:.1f}, max "
        f"{late.longest * 1000:.1f} ms over {late.count:,} scheduled requests",
    )
    return "\n".join(lines)

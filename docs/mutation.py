# ruff: noqa: INP001 - a script beside the pages
"""The score of the mutation tests, from what `make mutate` has written."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

MEASURED: Final = Path(__file__).parents[1] / "benchmarks"


def score() -> str:
    """Return the table of the files."""
    said: dict[str, Any] = json.loads((MEASURED / "mutation.json").read_text(encoding="utf-8"))
    rows = list(said["modules"].items())
    lines = ["| file | mutants | run | noticed by a test | by a timeout | survived | score |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    lines += [_row(f"`{name}`", [counts]) for name, counts in rows]
    lines.append(_row("all", [counts for _, counts in rows]))
    return "\n".join(lines) + f"\n\nMeasured with mutmut {said['mutmut']}.\n"


def _row(name: str, several: Sequence[dict[str, int]]) -> str:
    mutants, unchecked, killed, timeout, survived = (
        sum(each.get(what, 0) for each in several)
        for what in ("mutants", "unchecked", "killed", "timeout", "survived")
    )
    run = mutants - unchecked
    cells = [f"{mutants:,}", f"{run:,}", *(f"{n:,}" for n in (killed, timeout, survived))]
    cells.append(f"{1 - survived / run:.1%}" if run else "")
    return f"| {name} | {' | '.join(cells)} |"


def survivors() -> str:
    """Return who survives, and why."""
    given = tomllib.loads((MEASURED / "mutation.toml").read_text(encoding="utf-8"))["survivor"]
    lines = ["| function | changed to | why no test notices |", "| --- | --- | --- |"]
    for each in given:
        changed = "<br>".join(f"`{now.replace('|', '&#124;')}`" for now in each["now"])
        lines.append(f"| `{each['function']}` | {changed} | {each['why']} |")
    return "\n".join(lines) + "\n"

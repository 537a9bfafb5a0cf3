# ruff: noqa: INP001, RUF001 - a script beside the pages; – is what is meant
"""The table of the comparison, from what `make compare` has written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

MEASURED: Final = Path(__file__).parents[1] / "benchmarks" / "comparison.json"


def draw() -> str:
    """Return the table, and under what circumstances it came about."""
    said: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    lines = ["| | requests | lost, new connections | lost, keep-alive | one rollout |"]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    lines += [_row(each) for each in said["rows"]]
    notes = [f"{name} was not measured, because {why}." for name, why in said["missing"].items()]
    notes += [
        f"The row {each['name']} is in doubt, because the load generator itself was late by "
        f"{each['late_p99_ms']:.0f} ms (99th percentile)."
        for each in said["rows"]
        if each["in_doubt"]
    ]
    notes.append(_circumstances(said))
    return "\n".join(lines) + "\n\n" + "\n".join(notes) + "\n"


def _row(each: dict[str, Any]) -> str:
    clean = not each["lost_new"] + each["lost_kept"]
    counts = [_strong(each["requests"], strong=False)]
    counts += [_strong(each[key], strong=clean) for key in ("lost_new", "lost_kept")]
    low, high = (f"{seconds:.1f}" for seconds in (min(each["seconds"]), max(each["seconds"])))
    took = f"{low} s" if low == high else f"{low}–{high} s"
    return f"| {_named(each['name'])} | {' | '.join(counts)} | {took} |"


def _named(name: str) -> str:
    """Set settings apart from names."""
    head, *settings = name.split(", ")
    return ", ".join([head, *(f"`{each}`" if set(each) & set(":=") else each for each in settings)])


def _strong(count: int, *, strong: bool) -> str:
    return f"**{count:,}**" if strong else f"{count:,}"


def _circumstances(said: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in said["versions"].items())
    return (
        f"Measured on {said['date']}, {said['machine']}, {said['rollouts']} rollouts of 2 replicas "
        f"each. Versions: {versions}."
    )

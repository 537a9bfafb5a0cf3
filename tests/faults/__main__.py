"""
The whole matrix, cell by cell, as a table; `make faults` runs it.

    python -m tests.faults [NAME…]

A name is that of a registry, a fault or a state (`before`, `registering`, `ready`, `draining`):
only these are played. Each fault lasts longer than the lease. A cell shows the seconds until the
app was registered again, or, for a drain and for the death of the app, until it was not found any
more. What has failed is told below the table, and the exit code is 1.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tabulate import tabulate

from tests.faults.cell import Cell
from tests.faults.faults import FAULTS, State
from tests.faults.subjects import SUBJECTS, Subject

BEYOND: Final = 1.0
"""Seconds that a fault lasts longer than the lease."""
STATES: Final[Mapping[str, State]] = {state.name.lower(): state for state in State}


def cells(names: Sequence[str]) -> Iterator[tuple[str, Cell]]:
    """Yield the cells that are meant, each with its name."""

    def meant(name: str, all_names: Sequence[str]) -> bool:
        wanted = [each for each in names if each in all_names]
        return name in wanted or not wanted

    registries = [subject.name for subject in SUBJECTS]
    faults = [fault.name for fault in FAULTS]
    for subject in filter(lambda each: meant(each.name, registries), SUBJECTS):
        for fault in filter(lambda each: meant(each.name, faults), FAULTS):
            for name, state in STATES.items():
                if subject.installed and state in fault.states and meant(name, list(STATES)):
                    cell = Cell(subject, fault, state, subject.lease + BEYOND)
                    yield f"{subject.name} {fault.name} {name}", cell


def unknown(names: Sequence[str]) -> list[str]:
    """Return the names that mean nothing."""
    known = {each.name for each in (*SUBJECTS, *FAULTS)} | set(STATES)
    return sorted(set(names) - known)


def play(cell: Cell) -> tuple[str, str]:
    """Play a cell. Return what stands in the table, and what has failed."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        try:
            return f"{cell.play(Path(folder)):.1f}", ""
        except Exception as error:  # noqa: BLE001 - whatever it is, the other cells are played
            return "FAILED", str(error) or type(error).__name__


def table(subject: Subject, results: Mapping[tuple[str, str, State], str]) -> str:
    """Return the table of a registry."""
    rows = [
        [fault.name, *(results.get((subject.name, fault.name, state), "") for state in State)]
        for fault in FAULTS
        if any((subject.name, fault.name, state) in results for state in State)
    ]
    headers = [subject.name, *(state.value for state in State)]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def main(names: Sequence[str]) -> int:
    """Play the cells; 0 if all is as it must be."""
    if wrong := unknown(names):
        print(f"no registry, fault or state: {', '.join(wrong)}", file=sys.stderr)
        return 2
    results: dict[tuple[str, str, State], str] = {}
    failed: dict[str, str] = {}
    for name, cell in cells(names):
        shown, why = play(cell)
        print(f"{name}: {shown}", file=sys.stderr, flush=True)
        results[cell.subject.name, cell.fault.name, cell.state] = shown
        if why:
            failed[name] = why
    for subject in SUBJECTS:
        if any(registry == subject.name for registry, *_ in results):
            print(f"\n{table(subject, results)}")
        elif not subject.installed:
            print(f"\nNOT RUN: {subject.name}, because its plugin is not installed")
    for name, why in failed.items():
        print(f"\n== {name}\n{why}")
    print(f"\n{len(results) - len(failed)} passed, {len(failed)} failed")
    return int(bool(failed) or not results)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""
The same app, the same load, the same rollouts: what each way of serving it loses.

`make compare` rolls every way over with the machinery of `lifecycle rehearse`, in one run on
one machine, and writes what it has seen into comparison.json, from which `make docs` makes
the table of docs/comparison.md: nothing in it is written by hand.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import ways
from benchmarks.environment import NotInstallable, servicewright
from benchmarks.ways import Way
from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.rehearsal.plan import Plan, Traffic
from lifecycle.rehearsal.rehearsal import Rehearsal
from lifecycle.rehearsal.verdict.result import Result

WRITTEN = Path(__file__).parent / "comparison.json"
TRAFFIC = Traffic(slow="/slow")
"""That of `lifecycle rehearse` itself, and one request in a hundred that takes two seconds."""
PACKAGES = ("uvicorn", "hypercorn", "granian", "servicewright", "pod-lifecycle")


def plan(way: Way, rollouts: int) -> Plan:
    """Say how a way is rolled over."""
    return Plan(
        (way.python, *way.command),
        TRAFFIC,
        rollouts=rollouts,
        prestop=way.prestop,
        ready=way.ready,
        grace=way.grace,
        cwd=str(ways.FOLDER),
        env=way.environ,
    )


def row(way: Way, result: Result) -> dict[str, Any]:
    """Return what is written of a way."""
    said = result.to_json()
    return {
        "name": way.name,
        "command": " ".join(["python", *way.command]),
        **{key: said[key] for key in ("requests", "lost_new", "lost_kept", "findings")},
        "seconds": [each["seconds"] for each in said["rollouts"]],
        "causes": [
            {key: each[key] for key in ("cause", "connection", "count", "why")}
            for each in said["causes"]
        ],
        "late_p99_ms": said["load_generator"]["late_p99_ms"],
        "in_doubt": said["load_generator"]["in_doubt"],
    }


def versions(pythons: set[str]) -> dict[str, str]:
    """Return the versions of what was compared, as each row's own Python knows them."""
    code = (
        "import sys, json, platform; from importlib.metadata import version, PackageNotFoundError\n"
        "found = {'Python': platform.python_version()}\n"
        "for name in sys.argv[1:]:\n"
        "    try: found[name] = version(name)\n"
        "    except PackageNotFoundError: pass\n"
        "print(json.dumps(found))"
    )
    found: dict[str, str] = {}
    for python in sorted(pythons, key=lambda each: each != sys.executable):
        done = subprocess.run(
            [python, "-c", code, *PACKAGES], capture_output=True, text=True, check=True
        )
        said = json.loads(done.stdout)
        if python != sys.executable:
            said = {
                f"{name} (servicewright's)": said.pop(name) for name in ("Python", "uvicorn")
            } | said
        found |= said
    return found


def everything() -> tuple[list[Way], dict[str, str]]:
    """Return what is compared, and why what is missing is missing."""
    missing = {}
    try:
        others = ways.servicewright(servicewright())
    except NotInstallable as error:
        others, missing["servicewright"] = [], str(error)
    return [*ways.bare(), *others, *ways.ours()], missing


def _table(rows: list[dict[str, Any]], rollouts: int) -> Table:
    table = Table(title=f"{rollouts} rollouts each, 2 s propagation, half of the clients kept")
    for column in ("", "requests", "lost on new", "lost on kept", "a rollout took"):
        table.add_column(column, justify="right" if column else "left")
    for each in rows:
        counts = (f"{each[key]:,}" for key in ("requests", "lost_new", "lost_kept"))
        low, high = min(each["seconds"]), max(each["seconds"])
        doubt = " (in doubt)" * each["in_doubt"]
        table.add_row(each["name"] + doubt, *counts, f"{low:.1f} to {high:.1f} s")
    return table


def main() -> None:
    """Measure, print, and write if it was everything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparison", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=3, help="of each way (default: 3)")
    parser.add_argument(
        "--only", default="", help="a part of the name of what to measure; nothing is written then"
    )
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    for name in [name for name in os.environ if name.startswith("LIFECYCLE_")]:
        del os.environ[name]  # as it comes
    compared, missing = everything()
    rows = []
    for way in compared:
        if options.only not in way.name:
            continue
        began = time.monotonic()
        try:
            result = asyncio.run(Rehearsal(plan(way, options.rollouts)).run())
        except CannotRehearse as error:
            raise SystemExit(f"{way.name}: {error}") from None
        rows.append(row(way, result))
        console.print(
            f"{way.name}: {result.lost:,} of {result.tally.requests:,} lost "
            f"({time.monotonic() - began:.0f} s)",
            style="dim",
        )
    console.print(_table(rows, options.rollouts))
    for name, why in missing.items():
        console.print(f"{name}: not measured, {why}")
    if options.only:
        return
    written = {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "rollouts": options.rollouts,
        "traffic": TRAFFIC.to_json(),
        "versions": versions({way.python for way in compared}),
        "rows": rows,
        "missing": missing,
    }
    WRITTEN.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

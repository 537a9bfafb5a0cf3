"""
The same app, the same load, the same rollouts: what each way of serving it loses.

`make compare` prints the table that docs/comparison.md shows. Everything is measured in
one run on one machine by `lifecycle rehearse`, nothing is quoted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

APP = """
import asyncio

BODY = b"hello"
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"5")],
}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    await asyncio.sleep(2.0 if scope["path"] == "/slow" else 0.01)
    await send(START)
    await send({"type": "http.response.body", "body": BODY})
"""


class Way(NamedTuple):
    """One way of serving the app."""

    name: str
    command: tuple[str, ...]
    prestop: str = "none"
    environ: tuple[tuple[str, str], ...] = ()


def ways(python: str) -> list[Way]:
    """Return what is compared."""
    bare = {
        "uvicorn": ("uvicorn", "app:app", "--port", "{port}", "--log-level", "warning"),
        "hypercorn": ("hypercorn", "app:app", "--bind", "127.0.0.1:{port}"),
        "granian": ("granian", "--interface", "asgi", "--port", "{port}", "app:app"),
    }
    found = [
        Way(name if not sleep else f"{name}, preStop sleep {sleep}", (python, "-m", *words), hook)
        for name, words in bare.items()
        for sleep, hook in ((0, "none"), (5, "sleep:5"), (15, "sleep:15"))
    ]
    ours = (python, "-m", "lifecycle", "run", "--asgi", "app:app", "--bind", "127.0.0.1:{port}")
    quick = (("LIFECYCLE_SETTLE", "3"),)
    found.append(Way("pod-lifecycle, settle 3", (*ours, "--service", "app"), "exec", quick))
    found.append(
        Way("pod-lifecycle, settle 3, no preStop", (*ours, "--service", "app"), "none", quick)
    )
    return found


def rehearse(way: Way, folder: str, rollouts: int) -> dict[str, Any]:
    """Roll one way over; returns what `lifecycle rehearse --json` says."""
    words = ["--rollouts", str(rollouts), "--prestop", way.prestop, "--slow", "/slow", "--json"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "lifecycle",
            "rehearse",
            "--cwd",
            folder,
            *words,
            "--",
            *way.command,
        ],
        capture_output=True,
        text=True,
        env={**os.environ, **dict(way.environ)},
        check=False,
        timeout=900,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"{way.name}: {done.stderr or done.stdout}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparison", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=3, help="of each way (default: 3)")
    parser.add_argument("--only", default="", help="a part of the name of what to measure")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table(
        title=f"{options.rollouts} rollouts each, 2 s propagation, half of the clients kept"
    )
    for column in ("", "requests", "lost on new", "lost on kept", "a rollout took"):
        table.add_column(column, justify="left" if not column else "right")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "app.py").write_text(APP)
        for way in ways(sys.executable):
            if options.only not in way.name:
                continue
            began = time.monotonic()
            said = rehearse(way, folder, options.rollouts)
            took = sorted(each["seconds"] for each in said["rollouts"])
            row = (
                way.name,
                f"{said['requests']:,}",
                str(said["lost_new"]),
                str(said["lost_kept"]),
                f"{took[0]:.1f} to {took[-1]:.1f} s",
            )
            table.add_row(*row)
            console.print(
                f"| {' | '.join(row)} |   ({time.monotonic() - began:.0f} s)", style="dim"
            )
    console.print(table)


if __name__ == "__main__":
    main()

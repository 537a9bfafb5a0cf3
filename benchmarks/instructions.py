"""
How many instructions a request takes under `lifecycle run -- COMMAND`, and without us.

Time depends on what else a machine does, and two processes of one program differ by more than we
cost. Instructions do not: two runs differ by a thousandth. What they leave out is that ours may
be colder in the caches. `make bench` measures time; this tells what changed. It needs valgrind.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.commands import COMMANDS, SERVED
from benchmarks.processes import free_port
from lifecycle.instrumentation.lifecycle_worker.board import VARIABLE
from lifecycle.process.command.board_file import BoardFile
from lifecycle.process.command.supervise import INSTRUMENTATION

FEW: Final = 200
MANY: Final = 1700
"""Requests of two runs: their difference leaves out the start and the end."""
TURNS: Final = 2900
"""Of an empty loop, in the app: 75 us on a machine with two cores at 3 GHz."""
PATIENCE: Final = 120.0
VALGRIND: Final = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--trace-children=yes")


def main() -> int:
    """Print them. Returns 2 if there is no valgrind."""
    if shutil.which("valgrind") is None:
        print("benchmarks.instructions: install valgrind", file=sys.stderr)
        return 2
    table = Table("command", "without us", "with us", "ratio", title="instructions a request")
    for name in COMMANDS:
        without, with_us = (_per_request(name, path) for path in ("/off", "/on"))
        table.add_row(
            name, f"{without:,.0f}", f"{with_us - without:+,.0f}", f"{without / with_us:.4f}"
        )
    Console().print(table)
    return 0


def _per_request(name: str, switch: str) -> float:
    return (_all(name, switch, MANY) - _all(name, switch, FEW)) / (MANY - FEW)


def _all(name: str, switch: str, requests: int) -> int:
    """Return how many instructions a worker has taken that served so many requests."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        board = BoardFile(folder)
        env = os.environ | {
            VARIABLE: board.path,
            "PYTHONPATH": f"{INSTRUMENTATION}{os.pathsep}{SERVED}",
            "PYTHONHASHSEED": "0",
            "TURNS": str(TURNS),
        }
        command = COMMANDS[name].format(port=port, workers=1).split()
        files = [f"--{what}-file={folder}/{what}.%p" for what in ("log", "cachegrind-out")]
        with subprocess.Popen(
            [*VALGRIND, *files, sys.executable, "-m", *command],
            env=env,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                _ask(port, switch, requests)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE)
        board.close()
        told = [each.read_text() for each in Path(folder).glob("log.*")]
    counts = [int(each.replace(",", "")) for each in re.findall(r"refs:\s+([\d,]+)", "".join(told))]
    return max(counts)  # the worker's: a master does next to nothing


def _ask(port: int, switch: str, requests: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    limit = time.monotonic() + PATIENCE
    while connection.sock is None:
        try:
            connection.connect()
        except ConnectionRefusedError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.1)
    for each in range(requests):
        connection.request("GET", switch if each == 0 else "/")
        connection.getresponse().read()
    connection.close()


if __name__ == "__main__":
    sys.exit(main())

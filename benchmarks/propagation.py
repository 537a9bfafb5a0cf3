"""
Does `lifecycle tune` find how long `settle` must be? Rehearsed with known propagation delays.

`make propagation` takes about 8 minutes. For each delay, ten replicas are replaced under load, with
the default `settle` of 5 s. `lifecycle tune` reads their logs. Then ten more are replaced with the
value that it advises: nothing may be lost, and it must call this value right.

The clients notice one after the other, as the nodes of a cluster do, the last one after the delay.
Half of them keep their connections, and are idle for longer than the delay, so that their requests
come late: these must not make `settle` longer. SIGTERM alone starts each drain, so that the drain start
is the time from which the delay counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.ways import FOLDER
from lifecycle.testing.environment import handed_on

DELAYS = (2.0, 10.0, 60.0)
REPLICAS = 10
RATE = 200.0
CLIENTS = 120
SERVER = (
    f"exec {sys.executable} -m lifecycle run --asgi --service shop:{{port}} "
    "--bind 127.0.0.1:{port} app:app 2>>$LOGS/$LIFECYCLE_QOS_PORT.log"
)
"""The server of each replica, with a log of its own."""


class Measured(NamedTuple):
    """
    One rehearsal.

    Attributes:
        lost_new: The lost requests on new connections.
        lost_kept: The lost requests on keep-alive connections. The race of an idle connection that
            is closed at settle remains: see docs/drain.md.
        causes: The kinds of losses, with the number of each.
        late: The longest delay of the load generator, in seconds.
        last_request: When the last request came, in seconds after the drain start.
        tuned: The result of `lifecycle tune` for the service.
    """

    lost_new: int
    lost_kept: int
    causes: dict[str, int]
    late: float
    last_request: float
    tuned: dict[str, Any]


def measure(
    propagation: float,
    *,
    settle: float,
    replicas: int = REPLICAS,
    rate: float = RATE,
    clients: int = CLIENTS,
) -> Measured:
    """
    Replace replicas under load, and let `lifecycle tune` read their logs.

    Args:
        propagation: Seconds until the last client has noticed that a replica is gone.
        settle: The setting.
        replicas: The number of replicas, and so of drains.
        rate: Requests per second on new connections.
        clients: The number of clients.
    """
    grace = max(propagation, settle) * 1.5 + 20
    with tempfile.TemporaryDirectory(prefix="propagation-") as folder:
        env = handed_on() | {"LOGS": folder, "LIFECYCLE_SETTLE": f"{settle:g}"}
        options = {
            "replicas": replicas,
            "rate": rate,
            "clients": clients,
            "busy": 0,
            "think": propagation,
            "propagation": propagation,
            "grace": grace,
        }
        words = [f"--{name}={value:g}" for name, value in options.items()]
        words += ["--prestop=none", "--json"]
        rehearsed = _json("rehearse", *words, "--", "sh", "-c", SERVER, env=env)
        logs = sorted(str(each) for each in Path(folder).iterdir())
        (tuned,) = _json("tune", "--json", *logs, env=env)["services"]
        reports = [
            json.loads(line)
            for log in logs
            for line in Path(log).read_text().splitlines()
            if '"drain report"' in line
        ]
    return Measured(
        lost_new=rehearsed["lost_new"],
        lost_kept=rehearsed["lost_kept"],
        causes={f"{e['cause']}, {e['connection']}": e["count"] for e in rehearsed["causes"]},
        late=rehearsed["load_generator"]["late_max_ms"] / 1000,
        last_request=max(each["last_request"] for each in reports),
        tuned=tuned,
    )


def _json(*words: str, env: dict[str, str]) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "lifecycle", *words],
        cwd=FOLDER,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    return json.loads(done.stdout)


def _row(delay: float, settle: float, found: Measured) -> list[str]:
    tuned = found.tuned
    last = tuned["last"]
    value = tuned["advised"]
    return [
        f"{delay:g} s",
        f"{settle:g} s",
        str(tuned["drains"]),
        f"{last['min']:.2f} / {last['median']:.2f} / {last['max']:.2f} s",
        f"{found.last_request:.2f} s",
        tuned["verdict"] + ("" if tuned["sure"] else ", not sure"),
        f"{value:g} s = {value / delay:.2f}" if value else "",
        f"{found.lost_new} / {found.lost_kept}",
    ]


def main() -> int:
    """Measure each delay twice, and print a table. Returns 1 if a value is short or too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("delays", nargs="*", type=float, default=DELAYS, metavar="SECONDS")
    delays = parser.parse_args().delays
    console = Console()
    table = Table(title=f"{REPLICAS} drains each, {RATE:g} new connections per second in all")
    for head in (
        *("propagation", "settle", "drains", "last new connection: min / median / max"),
        *("last request", "lifecycle tune", "advised", "lost: new / keep-alive"),
    ):
        table.add_column(head)
    kept = True
    for delay in delays:
        settle = 5.0
        for _ in range(4):
            found = measure(delay, settle=settle)
            table.add_row(*_row(delay, settle, found))
            console.print(f"{delay:g} s with settle {settle:g}: {found}", highlight=False)
            if found.tuned["verdict"] == "right" and found.tuned["sure"]:
                break
            settle = float(found.tuned["setting"].partition("=")[2])
        kept = kept and found.lost_new == 0 and delay <= settle <= 1.2 * delay + found.late
    console.print(table)
    return 0 if kept else 1


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "160")
    sys.exit(main())

"""The command `lifecycle status`: the full status of the app."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from itertools import chain
from typing import Final, cast

from lifecycle.cli.control_client import add_port, port_of, request
from lifecycle.cli.watching import NotAnswered, first_line, plain, watch
from lifecycle.plain import table
from lifecycle.registration_table import HEADER, ago, rows
from lifecycle.status_records import (
    DrainStatus,
    MaintenanceStatus,
    PluginStatus,
    ProbeStatus,
    Snapshot,
    TransitionStatus,
    WorkerStatus,
)

STEPS_SHOWN: Final = 4
"""Steps of the start that are shown, the longest first."""
SHORTEST: Final = 0.05
"""Seconds. A shorter step is not shown."""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--watch", action="store_true", help="print the status every second")
    add_port(parser)


def run(options: argparse.Namespace) -> int:
    """Print the status once, or with `--watch` repeatedly."""
    port = port_of(options)

    def show(status: Snapshot) -> str:
        return json.dumps(status, indent=None if options.watch else 2)

    return watch(
        lambda: ask(port),
        show if options.json else render,
        again=options.watch,
        as_json=options.json,
    )


def ask(port: int) -> Snapshot:
    """
    Return the status that the app answers.

    Raises:
        Unreachable: No app answers.
        NotAnswered: The answer is not a status.
    """
    code, body = request("GET", "/status", port, timeout=5)
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if code != 200 or not isinstance(found, dict) or not found.keys() >= Snapshot.__required_keys__:
        raise NotAnswered(
            f"/status of port {port} answered {code} and {first_line(body)}, which is not a status. "
            "Check whether another program, or another version of pod-lifecycle, uses this port"
        )
    return cast("Snapshot", found)


def render(status: Snapshot) -> str:
    """Return the status as text for people. Each text from outside stays on its line."""
    status = cast("Snapshot", plain(status))
    parts = [
        f"{status['state'].upper()} for {ago(status['since'])}, {status['in_flight']} in flight, "
        f"pid {status['pid']}, pod-lifecycle {status['version']}",
        _start(status),
        _settle(status),
        _maintenance(status.get("maintenance")),
        _drain(status["drain"]),
        _table(" ".join(HEADER), chain.from_iterable(rows(each) for each in status["services"])),
        _table("SERVER PID AGE STALLED IN-FLIGHT SERVED", map(_worker, status.get("workers", ()))),
        _table("PROBE KIND OK MS AGE REASON", map(_probe, status["probes"])),
        _table("FROM TO AT CAUSE", map(_transition, status["transitions"])),
        _table("PLUGIN PROBLEM", map(_plugin, status["plugins"])),
    ]
    return "\n\n".join(part for part in parts if part)


def _table(header: str, rows: Iterable[tuple[object, ...]]) -> str:
    known = list(rows)
    return table(header.split(), known) if known else ""


def _start(status: Snapshot) -> str:
    start = status.get("start")  # an older version has no such field
    if start is None:
        return ""
    reached = any(step["to"] == "ready" for step in status["transitions"])
    ended = "started in" if reached else "not READY after"
    shown = f"{ended if start['over'] else 'starting for'} {start['seconds']:.1f} s"
    longest = sorted(start["steps"], key=lambda step: -step["seconds"])[:STEPS_SHOWN]
    steps = [
        f"{step['name']} {step['seconds']:.1f} s{' so far' if step.get('running') else ''}"
        for step in longest
        if step["seconds"] >= SHORTEST
    ]
    return f"{shown}: {', '.join(steps)}" if steps else shown


def _settle(status: Snapshot) -> str:
    name = status.get("settle_from")  # an older version has no such field
    if not name:
        return ""
    return f"settle is {status.get('settle', 0.0):g} s, because the registry {name} needs this long"


def _maintenance(maintenance: MaintenanceStatus | None) -> str:
    if maintenance is None:  # as an older version, which has no such field
        return ""
    settled = ", and idle connections are closed" if maintenance["settled"] else ""
    return (
        f"every app service has been offline for {maintenance['elapsed']:.1f} s. Clients are told to "
        f"close their connections{settled}"
    )


def _drain(drain: DrainStatus | None) -> str:
    if drain is None:
        return ""
    text = (
        f"drain started by {drain['cause']} {drain['elapsed']:.1f} s ago, step {drain['step']}, "
        f"{drain['deadline']:.1f} s left to wait"
    )
    if waiting_for := drain.get("waiting_for"):  # an older version has no such field
        text += f"\nwaiting for: {'; '.join(waiting_for)}"
    if drain["disturbed_by"]:
        text += f"\nstill arriving: {', '.join(drain['disturbed_by'])}"
    return text


def _probe(probe: ProbeStatus) -> tuple[object, ...]:
    verdict = "yes" if probe["ok"] else "NO"
    age = f"{probe['age']:.1f} s"
    return probe["name"], probe["kind"], verdict, f"{probe['ms']:.1f}", age, probe["reason"]


def _worker(worker: WorkerStatus) -> tuple[object, ...]:
    seconds = (f"{worker['age']:.0f} s", f"{worker['stalled']:.1f} s")
    return worker["server"], worker["pid"], *seconds, worker["in_flight"], worker["served"]


def _transition(step: TransitionStatus) -> tuple[object, ...]:
    at = time.strftime("%H:%M:%S", time.localtime(step["at"])) + f"{step['at'] % 1:.3f}"[1:]
    return step["from"], step["to"], at, step["cause"]


def _plugin(plugin: PluginStatus) -> tuple[object, ...]:
    return plugin["name"], plugin["problem"] or "-"

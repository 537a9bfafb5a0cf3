"""The command `lifecycle status`: the full status of the app."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any, Final, cast

from lifecycle.cli.control_client import Unreachable, add_port, port_of, request
from lifecycle.plain import one_line, table
from lifecycle.status_records import (
    DrainStatus,
    PluginStatus,
    ProbeStatus,
    ServiceStatus,
    Snapshot,
    TransitionStatus,
    WorkerStatus,
)

CLEAR: Final = "\x1b[H\x1b[2J"
PERIOD: Final = 1.0


class NoStatus(Unreachable):
    """The answer is not the status of an app that runs with pod-lifecycle."""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--watch", action="store_true", help="print the status every second")
    add_port(parser)


def run(options: argparse.Namespace) -> int:
    """Print the status once, or with `--watch` repeatedly."""
    shown = watch if options.watch else show
    return shown(port_of(options), as_json=options.json)


def show(port: int, *, as_json: bool) -> int:
    """Print the status once."""
    status = ask(port)
    print(json.dumps(status, indent=2) if as_json else render(status))
    return 0


def watch(port: int, *, as_json: bool) -> int:
    """
    Print the status every second, until the app has exited or the user presses Ctrl-C.

    Args:
        port: The QOS port.
        as_json: Print one JSON document per line.

    Raises:
        Unreachable: The first request found no app.
    """
    never = threading.Event()
    status = ask(port)
    clear = CLEAR if sys.stdout.isatty() and not as_json else ""
    try:
        while True:
            print(clear + (json.dumps(status) if as_json else render(status)), flush=True)
            never.wait(PERIOD)
            try:
                status = ask(port)
            except NoStatus:
                raise
            except Unreachable:
                print("the app has exited", file=sys.stderr if as_json else sys.stdout)
                return 0
    except KeyboardInterrupt:
        return 0


def ask(port: int) -> Snapshot:
    """
    Return the status that the app answers.

    Raises:
        Unreachable: No app answers.
        NoStatus: The answer is not a status.
    """
    code, body = request("GET", "/status", port, timeout=5)
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if code != 200 or not isinstance(found, dict) or not found.keys() >= Snapshot.__required_keys__:
        what = body.strip().partition("\n")[0][:80]
        raise NoStatus(
            f"/status of port {port} answered {code} and {what!r}, which is not a status. Check "
            "whether another program, or another version of pod-lifecycle, uses this port"
        )
    return cast("Snapshot", found)


def render(status: Snapshot) -> str:
    """Return the status as text for people. Each text from outside stays on its line."""
    status = cast("Snapshot", _plain(status))
    parts = [
        f"{status['state'].upper()} for {_ago(status['since'])}, {status['in_flight']} in flight, "
        f"pid {status['pid']}, pod-lifecycle {status['version']}",
        _drain(status["drain"]),
        _table("SERVICE PORT STATE REGISTERED", map(_service, status["services"])),
        _table("SERVER PID AGE STALLED IN-FLIGHT SERVED", map(_worker, status.get("workers", ()))),
        _table("PROBE KIND OK MS AGE REASON", map(_probe, status["probes"])),
        _table("FROM TO AT CAUSE", map(_transition, status["transitions"])),
        _table("PLUGIN PROBLEM", map(_plugin, status["plugins"])),
    ]
    return "\n\n".join(part for part in parts if part)


def _table(header: str, rows: Iterable[tuple[object, ...]]) -> str:
    known = list(rows)
    return table(header.split(), known) if known else ""


def _plain(told: Any) -> Any:
    match told:
        case str():
            return one_line(told)
        case dict():
            return {one_line(name): _plain(value) for name, value in told.items()}
        case list():
            return [_plain(each) for each in told]
    return told


def _ago(since: float) -> str:
    seconds = max(0.0, time.time() - since)
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.0f} min"


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


def _service(service: ServiceStatus) -> tuple[object, ...]:
    held = ", ".join(service["held_by"])
    where = " ".join(
        f"{name}({each['registered']}{': ' + each['reason'] if each['reason'] else ''})"
        for name, each in service["registrations"].items()
    )
    state = "online" if service["online"] else f"offline ({held})"
    return service["name"], service["port"] or "-", state, where or "-"


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

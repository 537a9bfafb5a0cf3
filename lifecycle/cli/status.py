"""How `lifecycle status` looks."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import tabulate

from lifecycle.cli import light

CLEAR = "\x1b[H\x1b[2J"
PERIOD = 1.0


def watch(ask: Callable[[], str]) -> int:
    """
    Redraw until the app is gone, or the person has seen enough.

    Raises:
        Unreachable: It was never there.
    """
    never = threading.Event()
    text = render(ask())
    try:
        while True:
            sys.stdout.write((CLEAR if sys.stdout.isatty() else "") + text + "\n")
            sys.stdout.flush()
            never.wait(PERIOD)
            try:
                text = render(ask())
            except light.Unreachable:
                print("the app is gone")
                return 0
    except KeyboardInterrupt:
        return 0


def render(body: str) -> str:
    """Turn the JSON of `/status` into what a person reads."""
    status = json.loads(body)
    parts = [
        f"{status['state'].upper()} for {_ago(status['since'])}, {status['in_flight']} in flight, "
        f"pid {status['pid']}, pod-lifecycle {status['version']}",
        _drain(status["drain"]),
        _table("SERVICE PORT STATE REGISTERED", map(_service, status["services"])),
        _table("PROBE KIND OK MS AGE REASON", map(_probe, status["probes"])),
        _table("FROM TO AT CAUSE", map(_transition, status["transitions"])),
        _table("PLUGIN PROBLEM", map(_plugin, status["plugins"])),
    ]
    return "\n\n".join(part for part in parts if part)


def _table(header: str, rows: Iterable[tuple[object, ...]]) -> str:
    known = list(rows)
    return tabulate.tabulate(known, header.split(), tablefmt="plain") if known else ""


def _ago(since: float) -> str:
    seconds = max(0.0, time.time() - since)
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.0f} min"


def _drain(drain: dict[str, Any] | None) -> str:
    if drain is None:
        return ""
    text = (
        f"drain began by {drain['cause']} {drain['elapsed']:.1f} s ago, step {drain['step']}, "
        f"{drain['deadline']:.1f} s left to wait"
    )
    if drain["disturbed_by"]:
        text += f"\nstill arriving: {', '.join(drain['disturbed_by'])}"
    return text


def _service(service: dict[str, Any]) -> tuple[object, ...]:
    held = ", ".join(service["held_by"])
    where = " ".join(
        f"{name}({each['registered']}{': ' + each['reason'] if each['reason'] else ''})"
        for name, each in service["registrations"].items()
    )
    state = "online" if service["online"] else f"offline ({held})"
    return service["name"], service["port"] or "-", state, where or "-"


def _probe(probe: dict[str, Any]) -> tuple[object, ...]:
    verdict = "yes" if probe["ok"] else "NO"
    age = f"{probe['age']:.1f} s"
    return probe["name"], probe["kind"], verdict, f"{probe['ms']:.1f}", age, probe["reason"]


def _transition(step: dict[str, Any]) -> tuple[object, ...]:
    at = time.strftime("%H:%M:%S", time.localtime(step["at"])) + f"{step['at'] % 1:.3f}"[1:]
    return step["from"], step["to"], at, step["cause"]


def _plugin(plugin: dict[str, Any]) -> tuple[object, ...]:
    return plugin["name"], plugin["problem"] or "-"

"""The command `lifecycle inflight`: the work in flight, the oldest first."""

from __future__ import annotations

import argparse
import json
from typing import Any, Final, cast

from lifecycle.cli.console import refused
from lifecycle.cli.control_client import add_port, port_of, request
from lifecycle.cli.watching import NotAnswered, first_line, plain, watch
from lifecycle.plain import table
from lifecycle.status_records import InFlight, InFlightEntry

TIMEOUT: Final = 10.0
"""Seconds for an answer, because workers may be too busy to answer."""
WANTED: Final = {"in_flight", "shown", "entries"}


class Refused(Exception):
    """The app refuses the request. The message is its reason."""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--watch", action="store_true", help="print the work every second")
    parser.add_argument(
        "--limit",
        type=int,
        default=20,
        metavar="NUMBER",
        help="most entries to show, 1 to 1000 (default: 20)",
    )
    parser.add_argument(
        "--stacks", action="store_true", help="show the lines at which the work and threads stand"
    )
    add_port(parser)


def run(options: argparse.Namespace) -> int:
    """Print the work once, or with `--watch` repeatedly."""
    port = port_of(options)
    path = f"/inflight?limit={options.limit}{'&stacks' if options.stacks else ''}"

    def show(found: InFlight) -> str:
        return json.dumps(found, indent=None if options.watch else 2)

    try:
        return watch(
            lambda: ask(path, port),
            show if options.json else render,
            again=options.watch,
            as_json=options.json,
        )
    except Refused as error:
        return refused(str(error))


def ask(path: str, port: int) -> InFlight:
    """
    Return the work that the app answers.

    Raises:
        Unreachable: No app answers.
        NotAnswered: The answer is not from pod-lifecycle, or from a version without `/inflight`.
        Refused: The app refuses the request.
    """
    code, body = request("GET", path, port, timeout=TIMEOUT)
    if code in (400, 403):
        raise Refused(body)
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if code != 200 or not isinstance(found, dict) or not found.keys() >= WANTED:
        raise NotAnswered(
            f"/inflight of port {port} answered {code} and {first_line(body)}, which is not the work "
            "in flight. Check whether another program, or another version of pod-lifecycle, uses "
            "this port"
        )
    return cast("InFlight", found)


def render(found: InFlight) -> str:
    """Return the work as text for people. Each text from outside stays on its line."""
    found = cast("InFlight", plain(found))
    entries, more = found["entries"], found["in_flight"] - found["shown"]
    head = f"{found['in_flight']} in flight"
    if more > 0:
        head += f", the oldest {found['shown']} are shown"
    if "threads" in found:
        parts = [
            head,
            *map(_with_stack, entries),
            *(f"{_thread(each)}" for each in found["threads"]),
        ]
        return "\n\n".join(parts)
    rows = [(_age(each), *_words(each)) for each in entries]
    return "\n\n".join(
        [head, table(["AGE", "NAME", "AGENT", "PROTOCOL", "WORKER"], rows)] if rows else [head]
    )


def _age(entry: InFlightEntry) -> str:
    return f"{entry['age']:.1f} s"


def _words(entry: InFlightEntry) -> tuple[object, ...]:
    return entry["name"], entry["agent"] or "-", entry["protocol"] or "-", entry["worker"]


def _with_stack(entry: InFlightEntry) -> str:
    client = f" from {entry['agent']}" if entry["agent"] else ""
    head = f"{entry['name']}{client}, for {_age(entry)}, in process {entry['worker']}"
    return "\n".join([head, *_indented(entry.get("stack", []))])


def _thread(thread: Any) -> str:
    head = f"thread {thread['name']} of process {thread['worker']}"
    return "\n".join([head, *_indented(thread["stack"])])


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines] or ["  (its line is not known)"]

"""
`lifecycle probe`: asks one probe.

It runs inside the container, often throttled to a tenth of a core: it imports next to nothing.
"""

from __future__ import annotations

import sys

from lifecycle.cli.console import fail, say
from lifecycle.cli.control_client import Unreachable, add_port, port_in, port_of, request

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`
if TYPE_CHECKING:
    import argparse

KINDS = ("live", "ready", "startup")
TIMEOUT = 5.0


def add(parser: argparse.ArgumentParser) -> None:
    """Declare which probe is asked, and where."""
    parser.add_argument("kind", choices=KINDS)
    add_port(parser)


def run(options: argparse.Namespace) -> int:
    """Ask one probe."""
    return probe(options.kind, port_of(options))


def run_plain(words: list[str]) -> int | None:
    """Do it if the words need no parser; None if they do."""
    port = port_in(words[1:])
    return probe(words[0], port) if words and words[0] in KINDS and port is not None else None


def probe(kind: str, port: int) -> int:
    """Ask one probe: 0 if true, 1 if false (with the reasons), 2 if nobody answers."""
    try:
        status, body = request("GET", f"/{kind}?verbose", port, timeout=TIMEOUT)
    except Unreachable as error:
        return fail(str(error), 2)
    say("true\n" if status == 200 else body, sys.stdout)
    return 0 if status == 200 else 1

"""
The command `lifecycle probe`, which asks the app for one probe result.

The kubelet runs it inside the container, often with a tenth of a core. Importing this file must
therefore stay cheap.
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
    """Declare the arguments: which probe, and the port of the app."""
    parser.add_argument("kind", choices=KINDS)
    add_port(parser)


def run(options: argparse.Namespace) -> int:
    """Ask for the probe that the options name."""
    return probe(options.kind, port_of(options))


def run_plain(words: list[str]) -> int | None:
    """Ask for a probe if the words need no parser, or else return None."""
    port = port_in(words[1:])
    return probe(words[0], port) if words and words[0] in KINDS and port is not None else None


def probe(kind: str, port: int) -> int:
    """Ask for one probe. Returns 0 if true, 1 if false (with the reasons), 2 if no app answers."""
    try:
        status, body = request("GET", f"/{kind}?verbose", port, timeout=TIMEOUT)
    except Unreachable as error:
        return fail(error, 2)
    say("true\n" if status == 200 else body, sys.stdout)
    return 0 if status == 200 else 1

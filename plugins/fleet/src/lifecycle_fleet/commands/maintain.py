"""`lifecycle fleet maintain`: takes one pod out of traffic while you work on it, and brings it back."""

from __future__ import annotations

import argparse
from typing import Any

from lifecycle_fleet.commands.offline import add_force, add_timeout
from lifecycle_fleet.options import add_cluster, add_container, seconds


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("target", metavar="POD", help="the name of a pod")
    parser.add_argument(
        "--for",
        dest="seconds",
        type=seconds,
        metavar="SECONDS",
        help="bring the pod back after this time (default: when you press Enter)",
    )
    add_container(parser)
    add_timeout(parser)
    add_force(parser)
    add_cluster(parser)
    parser.add_argument(
        "command",
        nargs="*",
        default=[],  # without it, argparse says that the command is required
        metavar="COMMAND",
        help="a command to run on this machine, after --. The pod comes back when it has ended",
    )
    _split_at_dashes(parser)


def _split_at_dashes(parser: argparse.ArgumentParser) -> None:
    """Let the command begin after `--`. Before Python 3.13, argparse finds none after an option."""
    parse = parser.parse_known_args

    def parse_before_dashes(
        args: Any = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        words = [*args]
        at = words.index("--") if "--" in words else len(words)
        found, unknown = parse(words[:at], namespace)
        if found.command:
            parser.error("put -- before the command: maintain POD -- COMMAND")
        found.command = words[at + 1 :]
        return found, unknown

    parser.parse_known_args = parse_before_dashes  # type: ignore[method-assign, assignment] # see above


async def run(options: argparse.Namespace) -> int:
    """Take the pod offline, hold it, and bring it back. The exit code is that of the command."""
    from lifecycle_fleet.switching.maintenance import maintain

    return await maintain(options)

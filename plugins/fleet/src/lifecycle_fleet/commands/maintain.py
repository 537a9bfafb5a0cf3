"""`lifecycle fleet maintain`: takes one pod out of traffic while you work on it, and brings it back."""

from __future__ import annotations

import argparse

from lifecycle_fleet.commands.offline import add_force, add_timeout
from lifecycle_fleet.options import add_cluster, add_container, seconds


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("target", metavar="POD", help="the name of a pod")
    parser.add_argument(
        "command",
        nargs="*",
        metavar="COMMAND",
        help="a command of this machine, after --. The pod comes back when the command has ended",
    )
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


async def run(options: argparse.Namespace) -> int:
    """Take the pod offline, hold it, and bring it back. The exit code is that of the command."""
    from lifecycle_fleet.switching.maintenance import maintain

    return await maintain(options)

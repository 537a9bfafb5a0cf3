"""`lifecycle fleet inflight`: the work in flight in one pod, as `lifecycle inflight` shows it there."""

from __future__ import annotations

import argparse
from typing import Final

from lifecycle_fleet.options import add_cluster, add_data, add_pod

FIELDS: Final = ("in_flight", "shown", "entries")
"""Fields that the JSON must have."""
TIMEOUT: Final = 30.0
"""Seconds for an answer, because workers may be too busy to answer."""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_pod(parser)
    parser.add_argument(
        "--stacks", action="store_true", help="show the lines at which the work and threads stand"
    )
    parser.add_argument(
        "--limit",
        type=int,
        default=20,
        metavar="NUMBER",
        help="most entries to show, 1 to 1000 (default: 20)",
    )
    add_data(parser)
    add_cluster(parser)


async def run(options: argparse.Namespace) -> int:
    """Print the work in flight. The exit code is that of the command in the pod."""
    from lifecycle_fleet.asking import ask

    words = ["inflight", "--limit", str(options.limit)]
    return await ask(options, words + ["--stacks"] * options.stacks, FIELDS, TIMEOUT)

"""`lifecycle fleet ls`: the pods that run pod-lifecycle."""

from __future__ import annotations

import argparse

from lifecycle_fleet.options import add_cluster, add_output, add_selection


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--all", action="store_true", help="show also pods without pod-lifecycle")
    parser.add_argument("--no-headers", action="store_true", help="print no line with the titles")
    add_selection(parser)
    add_output(parser)
    add_cluster(parser)


async def run(options: argparse.Namespace) -> int:
    """Print the pods once, or each change with `--watch`."""
    from lifecycle_fleet.listing.command import run

    return await run(options)

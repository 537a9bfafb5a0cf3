"""`lifecycle fleet offline`: takes app services of pods out of traffic."""

from __future__ import annotations

import argparse
from typing import Final

from lifecycle_fleet.errors import Misused
from lifecycle_fleet.options import add_cluster, add_container, seconds

DEFAULT_TIMEOUT: Final = 60.0
"""Seconds for `--wait`."""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)
    add_waiting(parser)
    add_force(parser)
    add_cluster(parser)


def add_target(parser: argparse.ArgumentParser) -> None:
    """Declare the pods, and the app services."""
    parser.add_argument(
        "target",
        metavar="POD",
        help="the name of a pod, or KIND/NAME such as deploy/orders for all of its pods",
    )
    parser.add_argument(
        "--service",
        default="*",
        metavar="PATTERN",
        help="names of app services, for example 'orders*' (default: *, all of them)",
    )
    add_container(parser)


def add_waiting(parser: argparse.ArgumentParser) -> None:
    """Declare whether and how long to wait."""
    parser.add_argument(
        "--wait",
        action="store_true",
        help="wait in each pod until no client is being served any more",
    )
    add_timeout(parser, default=None)


def add_timeout(
    parser: argparse.ArgumentParser, *, default: float | None = DEFAULT_TIMEOUT
) -> None:
    """Declare how long to wait."""
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=default,
        metavar="SECONDS",
        help="longest time until no client is being served by a pod (default: "
        f"{DEFAULT_TIMEOUT:g})",
    )


def add_force(parser: argparse.ArgumentParser) -> None:
    """Declare whether to cause an outage."""
    parser.add_argument(
        "--force",
        action="store_true",
        help="also take the last ready pod of a Service out of traffic",
    )


async def run(options: argparse.Namespace) -> int:
    """Take the app services of each pod offline."""
    from lifecycle_fleet.switching.command import switch

    if options.timeout is None:
        options.timeout = DEFAULT_TIMEOUT
    elif not options.wait:
        raise Misused("--timeout needs --wait")
    return await switch(options, "offline")
